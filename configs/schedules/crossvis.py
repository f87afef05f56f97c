# CrossVIS's published schedule, for a whole data set at once (the joint learner) and for the base classes.
schedule = dict(
    batch_size=16,  # pairs of frames
    base=dict(iterations=23000, lr=0.005),
    incremental=dict(iterations=600, lr=0.005),
    joint=dict(iterations=23000, lr=0.005),
    milestones=[15 / 23, 21 / 23],  # 15,000 and 21,000
    optimizer="sgd",
    momentum=0.9,
    weight_decay=1e-4,
    clip_grad=0.0,
    backbone_lr_mult=1.0,  # segmenter.feature_gradient is what spares it
)
