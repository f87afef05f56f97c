learner = dict(type="joint")
