# As CRISP's released code runs ECLIPSE on videos. The image code: classification="sigmoid_focal",
# class_weight=10, lr_mult=5, and segmenter.criterion.cost_weights="losses": the matching weighs classes 10 too.
learner = dict(
    type="eclipse",
    num_prompts=10,  # queries of each step's group
    deltas=[0.5, 0.6],  # of the base group and of all others
)
