# CTVIS with ResNet-50, with the paper's sizes of frames and clips (--schedule ctvis --init coco).
# It starts from a Mask2Former of images. On OVIS the paper has clips of 10 frames within +-15.
_base_ = ["mask2former_r50.py"]
segmenter = dict(type="ctvis", test=dict(short_side=480))
sampling = dict(
    num_frames=8,
    frame_range=20,
    short_sides=[320, 352, 384, 416, 448, 480, 512, 544, 576, 608, 640],
    max_size=768,
    crop=dict(probability=0.5, short_sides=[400, 500, 600], sides=[384, 600]),
)
