learner = dict(type="comformer")
