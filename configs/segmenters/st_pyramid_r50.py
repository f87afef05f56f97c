# As st_pyramid_r101, with ResNet-50.
_base_ = "st_pyramid_r101.py"
segmenter = dict(
    backbone=dict(depth=50),
    weights=dict(
        coco="https://download.openmmlab.com/mmdetection/v2.0/mask_rcnn/mask_rcnn_r50_fpn_1x_coco/"
        "mask_rcnn_r50_fpn_1x_coco_20200205-d4b0c5d6.pth",
        imagenet="https://download.pytorch.org/models/resnet50-0676ba61.pth",
    ),
)
