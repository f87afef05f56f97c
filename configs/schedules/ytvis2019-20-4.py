# The schedule of CRISP's released scripts; the milestone is at 2/3 of every step.
schedule = dict(
    batch_size=16,  # clips, over all GPUs
    base=dict(iterations=1500, lr=1e-4, policy="multistep"),
    incremental=dict(iterations=600, lr=1e-4, policy="multistep"),
    joint=dict(iterations=None, lr=1e-4, policy="multistep"),  # None: those of the whole stream together
    milestones=[2 / 3],  # of a step's iterations; learning rate x 0.1 (multistep)
    weight_decay=0.05,
    clip_grad=0.01,  # norm over all parameters
    backbone_lr_mult=0.1,
    scale=1.0,  # multiplies every number of iterations: 0.01 for a smoke run
)
