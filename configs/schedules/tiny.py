# For mask2former_tiny on small frames, from random weights, on a CPU. Its spread over seeds stands in
# REPRODUCIBILITY.md: many small steps, every one of the same length.
schedule = dict(
    batch_size=4,
    base=dict(iterations=4000, lr=7e-4, policy="cosine"),
    incremental=dict(iterations=400, lr=5e-4, policy="cosine"),
    joint=dict(iterations=None, lr=7e-4, policy="cosine"),
    milestones=[2 / 3],
    weight_decay=0.05,
    clip_grad=0.01,  # Mask2Former's: every gradient is longer, so the few that are very long count no more than others
    backbone_lr_mult=1.0,  # nothing is pre-trained, so nothing is spared
    scale=1.0,
)
sampling = dict(short_sides=[56, 64], max_size=128)
