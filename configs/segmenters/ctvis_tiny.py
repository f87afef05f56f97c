# CTVIS on 64 x 96 frames on a CPU: the tiny Mask2Former, on every frame.
_base_ = ["mask2former_tiny.py"]
segmenter = dict(
    type="ctvis",
    # a quarter of the published weights: names are the hard part here, and every gradient has one length
    criterion=dict(emb_weight=0.5, aux_weight=0.75),
    test=dict(window=10),
)
sampling = dict(num_frames=3)
