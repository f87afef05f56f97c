# CrossVIS with ResNet-101. mmdet has no CondInst of this depth; AdelaiDet's is loaded by --init PATH.
_base_ = "crossvis_r50.py"
segmenter = dict(
    backbone=dict(depth=101),
    weights=dict(
        _delete_=True,
        imagenet="https://download.pytorch.org/models/resnet101-63fe2227.pth",
    ),
)
