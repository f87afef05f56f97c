# CoMFormer as published (settings of its image configurations for many steps); the default is a variant that shares
# the step-0 model of all methods. It trained the backbone too: add --set protocol.freeze=none.
learners = dict(
    comformer=dict(
        kd_weight=10.0,
        adaptive=True,
        pseudo_labels=True,
        min_score=0.0,
        min_overlap=0.5,
        focal=True,
        soft_masks=True,
        lr_mult=0.5,  # 5e-5 after a step 0 with 1e-4
    ),
)
