# CrossVIS with ResNet-50, with the paper's sizes of frames and clips (--schedule crossvis --init coco).
# It starts from a CondInst of images.
segmenter = dict(
    type="crossvis",
    backbone=dict(
        type="ResNet",
        depth=50,
        out_indices=(1, 2, 3),
        frozen_stages=1,
        norm_cfg=dict(type="BN", requires_grad=False),
        norm_eval=True,
        style="pytorch",
    ),
    weights=dict(
        coco="https://download.openmmlab.com/mmdetection/v3.0/condinst/"
        "condinst_r50_fpn_ms-poly-90k_coco_instance/"
        "condinst_r50_fpn_ms-poly-90k_coco_instance_20221129_125223-4c186406.pth",
        imagenet="https://download.pytorch.org/models/resnet50-0676ba61.pth",
    ),
)
sampling = dict(num_frames=2, frame_range=20, short_sides=[360], max_size=640)
