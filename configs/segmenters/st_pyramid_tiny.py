# The space-time pyramid on 64 x 96 frames on a CPU.
segmenter = dict(
    type="st_pyramid",
    backbone=dict(type="ConvBackbone", widths=(32, 64, 96, 128)),
    in_channels=(32, 64, 96, 128),
    strides=(2, 4, 8, 16),
    dim=48,
    pyramid=dict(widths=(96, 96, 64, 32), norm="GN", reduction=8),
    coordinate_unit=48.0,
    output_stride=2,
    background_channel=True,
    clustering=dict(min_heat=0.3),
    test=dict(short_side=64, max_side=160),
    size_divisor=16,
)
sampling = dict(num_frames=8)
