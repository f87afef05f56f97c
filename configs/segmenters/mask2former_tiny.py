# Mask2Former-VIS on 64 x 96 frames on a CPU.
segmenter = dict(
    type="mask2former",
    backbone=dict(type="ConvBackbone", widths=(32, 64, 96, 128), skip=1),
    in_channels=(64, 96, 128),
    strides=(4, 8, 16),
    dim=64,
    num_queries=10,  # for three objects: of twenty, most only copy one another, and learning is slower
    pixel_decoder=dict(encoder_levels=2, layers=2, heads=4, points=2, feedforward=128, separable=True, norm_groups=8),
    decoder=dict(layers=3, heads=4, feedforward=256),
    # Masks are easy here and names are hard: with Mask2Former's 2, 5, 5 the masks' gradients drown the classes' for a
    # thousand iterations, and when a seed gets over that is chance.
    criterion=dict(num_points=512, class_weight=5.0, mask_weight=0.5, dice_weight=0.5),
    test=dict(short_side=64, max_side=160),
    size_divisor=16,
    channels_last=True,
)
# 2 prompts for 10 base queries: the least that can name two objects. No-object fixed and its logit as it is: at this
# size the classes' logits are no probabilities that could be summed into one, as positive deltas do (see
# docs/design.md, query groups).
learners = dict(
    eclipse=dict(num_prompts=2, deltas=[0.0], train_no_object=False),
    crisp=dict(
        num_prompts=2,
        deltas=[0.0],
        train_no_object=False,
        text_encoder=dict(model="tiny", pretrained="random"),  # no download; results say so
    ),
    anchor=dict(num_prompts=8, deltas=[0.0], train_no_object=False),  # it names objects by other means
    anchor_joint=dict(num_prompts=8, deltas=[0.0], train_no_object=False),
)
