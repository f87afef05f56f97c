# VisTR with ResNet-50, as published. Its clips of 36 frames took a GPU of 32 GB each.
segmenter = dict(
    type="vistr",
    backbone=dict(
        type="ResNet",
        depth=50,
        frozen_stages=1,  # the stem and the first stage
        norm_cfg=dict(type="BN", requires_grad=False),
        norm_eval=True,
        style="pytorch",
    ),
    mask_head=dict(deformable=False),  # published with True, which needs mmcv's compiled operators
    weights=dict(
        # DETR's public weights have 256 channels, VisTR 384: of them only the backbone fits, unless segmenter.dim=256
        coco="https://dl.fbaipublicfiles.com/detr/detr-r50-e632da11.pth",
        imagenet="https://download.pytorch.org/models/resnet50-0676ba61.pth",
    ),
)
# The published training has 18 epochs over all frames, a clip that ends in each. How long a step is, is the stream's.
schedule = dict(batch_size=8, weight_decay=1e-4, clip_grad=0.1)
# All frames of a video of at most 36, in order, as published; of longer ones 36 around the reference frame.
sampling = dict(
    num_frames=36,
    frame_range=36,
    short_sides=[300],
    max_size=540,
    crop=dict(probability=0.5, short_sides=[400, 500, 600], sides=[384, 600]),  # DETR's
)
