# Mask2Former-VIS with Swin-L and 200 queries. Its COCO weights exist for panoptic segmentation only.
segmenter = dict(
    type="mask2former",
    class_head="mlp",  # as with ResNet-50
    backbone=dict(
        type="SwinTransformer",
        pretrain_img_size=384,
        embed_dims=192,
        depths=(2, 2, 18, 2),
        num_heads=(6, 12, 24, 48),
        window_size=12,
        drop_path_rate=0.3,
    ),
    in_channels=(192, 384, 768, 1536),
    num_queries=200,
    weights=dict(
        coco="https://download.openmmlab.com/mmdetection/v3.0/mask2former/"
        "mask2former_swin-l-p4-w12-384-in21k_16xb1-lsj-100e_coco-panoptic/"
        "mask2former_swin-l-p4-w12-384-in21k_16xb1-lsj-100e_coco-panoptic_20220407_104949-82f8d28d.pth",
    ),
)
