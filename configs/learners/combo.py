learner = dict(type="combo")
