# Mask2Former-VIS with Swin-T.
segmenter = dict(
    type="mask2former",
    class_head="mlp",  # as with ResNet-50
    backbone=dict(
        type="SwinTransformer",
        embed_dims=96,
        depths=(2, 2, 6, 2),
        num_heads=(3, 6, 12, 24),
        window_size=7,
        drop_path_rate=0.3,
    ),
    in_channels=(96, 192, 384, 768),
    weights=dict(
        coco="https://download.openmmlab.com/mmdetection/v3.0/mask2former/"
        "mask2former_swin-t-p4-w7-224_8xb2-lsj-50e_coco/"
        "mask2former_swin-t-p4-w7-224_8xb2-lsj-50e_coco_20220508_091649-01b0f990.pth",
    ),
)
