# Mask2Former-VIS with ResNet-101.
_base_ = "mask2former_r50.py"
segmenter = dict(
    backbone=dict(depth=101),
    weights=dict(
        coco="https://download.openmmlab.com/mmdetection/v3.0/mask2former/"
        "mask2former_r101_8xb2-lsj-50e_coco/"
        "mask2former_r101_8xb2-lsj-50e_coco_20220426_100250-ecf181e2.pth",
        imagenet="https://download.pytorch.org/models/resnet101-63fe2227.pth",
    ),
)
