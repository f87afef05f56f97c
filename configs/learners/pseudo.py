learner = dict(type="pseudo")
