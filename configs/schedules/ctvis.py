# CTVIS's published schedule, for a whole data set at once (the joint learner) and for the base classes.
schedule = dict(
    batch_size=16,  # clips
    base=dict(iterations=16000),
    joint=dict(iterations=16000),
    milestones=[0.375, 0.75],  # 6,000 and 12,000
)
