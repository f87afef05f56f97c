# CrossVIS on 64 x 96 frames on a CPU. Objects are 23 to 50 pixels wide, so locations are 8 and 16 pixels apart; masks,
# of which mAP asks an IoU of up to 0.95, are made 4 pixels apart and refined to 2.
segmenter = dict(
    type="crossvis",
    backbone=dict(type="ConvBackbone", widths=(32, 64, 96, 128), skip=1),
    in_channels=(64, 96, 128),
    strides=(4, 8, 16),
    dim=64,
    extra=0,
    skip=1,
    sizes_of_interest=(32, 64),
    head=dict(convs=2, norm_groups=8, embedding=64),
    mask_branch=dict(width=32, convs=2, norm="GN", norm_groups=8),
    num_identities=1200,  # the tracks of all training videos of synthetic-20-4
    feature_gradient=1.0,  # nothing is pre-trained, so nothing is spared
    test=dict(short_side=64, max_side=160, window=10),
    size_divisor=16,
)
