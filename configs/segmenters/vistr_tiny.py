# VisTR on 64 x 96 frames on a CPU.
segmenter = dict(
    type="vistr",
    backbone=dict(type="ConvBackbone", widths=(32, 64, 96), skip=1),
    in_channels=(64, 96),
    strides=(4, 8),  # with tokens 16 pixels apart names take twice as long
    dim=96,
    num_frames=3,
    num_slots=5,  # for three objects
    encoder=dict(layers=2, heads=4, feedforward=192, dropout=0.0),
    decoder=dict(layers=3, heads=4, feedforward=192, dropout=0.0),
    mask_head=dict(heads=4, widths=(48, 32), clip_width=8),
    # At its published weight the focal loss is a hundredth of the dice loss, which alone is slow to find an outline;
    # names come last from random weights.
    criterion=dict(class_weight=4.0, mask_weight=10.0),
    test=dict(short_side=64, max_side=160, min_probability=0.1),
    size_divisor=8,
)
sampling = dict(num_frames=3)
# As published, the transformer begins behind a backbone that can see: here one that has learned the base classes in the
# tiny Mask2Former that comes with cvis. From random weights the same steps gave a third of the mAP.
protocol = dict(init="backbone:shipped/cde46c50cf6f40fb")
