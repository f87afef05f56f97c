learner = dict(type="crisp")
