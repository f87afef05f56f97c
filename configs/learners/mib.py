learner = dict(type="mib")
