# Mask2Former-VIS with ResNet-50: the architecture of mmdet's mask2former_r50_8xb2-8e_youtubevis2019.
segmenter = dict(
    type="mask2former",
    class_head="mlp",  # three layers for each step's classes, as CRISP and ECLIPSE have them; mmdet's is linear
    backbone=dict(
        type="ResNet",
        depth=50,
        norm_cfg=dict(type="BN", requires_grad=False),
        norm_eval=True,
        style="pytorch",
    ),
    weights=dict(
        coco="https://download.openmmlab.com/mmdetection/v3.0/mask2former/"
        "mask2former_r50_8xb2-lsj-50e_coco/"
        "mask2former_r50_8xb2-lsj-50e_coco_20220506_191028-41b088b6.pth",
        imagenet="https://download.pytorch.org/models/resnet50-0676ba61.pth",
    ),
)
