# Mask2Former-VIS with ResNet-101.
segmenter = dict(
    type="mask2former",
    backbone=dict(
        type="ResNet",
        depth=101,
        norm_cfg=dict(type="BN", requires_grad=False),
        norm_eval=True,
        style="pytorch",
    ),
    weights=dict(
        coco="https://download.openmmlab.com/mmdetection/v3.0/mask2former/"
        "mask2former_r101_8xb2-lsj-50e_coco/"
        "mask2former_r101_8xb2-lsj-50e_coco_20220426_100250-ecf181e2.pth",
        imagenet="https://download.pytorch.org/models/resnet101-63fe2227.pth",
    ),
)
