# What CTVIS's released code does, where it and the paper differ (cvis's defaults, but for clips and answers).
sampling = dict(num_frames=10)  # with ResNet-50; 8 with Swin-L
segmenter = dict(
    criterion=dict(
        aux_weight=3.0,
        bank_probability=0.5,  # else the latest embedding
        future=True,  # an object that was not seen before has its next embedding for a positive
        negatives="queries",  # all other queries of the frame before
        noise=0.0,  # there, with a probability of 0.001, and off: "unstable" for small batches of short clips
        noise_from="queries",
        detach_keys=False,
    ),
    test=dict(match_threshold=0.3, top_k=40),  # as many answers as YouTube-VIS has classes
)
