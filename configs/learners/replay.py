learner = dict(type="replay")
