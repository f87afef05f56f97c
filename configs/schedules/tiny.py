# For mask2former_tiny on small frames, from random weights, on a CPU.
schedule = dict(
    batch_size=8,
    base=dict(iterations=2000, lr=1e-3, policy="cosine"),
    incremental=dict(iterations=200, lr=5e-4, policy="cosine"),
    joint=dict(iterations=None, lr=1e-3, policy="cosine"),
    milestones=[2 / 3],
    weight_decay=0.05,
    clip_grad=1.0,
    backbone_lr_mult=1.0,  # nothing is pre-trained, so nothing is spared
    scale=1.0,
)
sampling = dict(short_sides=[56, 64], max_size=128)
