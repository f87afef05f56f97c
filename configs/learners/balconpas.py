learner = dict(type="balconpas")
