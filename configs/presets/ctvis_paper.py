# What CTVIS's paper (arXiv 2307.12616) says, where it and the released code differ.
sampling = dict(num_frames=8)  # 4: 8 on YouTube-VIS, 10 on OVIS
segmenter = dict(
    criterion=dict(
        aux_weight=0.0,  # equation 6 has no such loss
        bank_probability=1.0,  # 3.3: "we pick from the memory bank the MA embedding"
        future=False,  # 3.3: positives are of the memory bank
        negatives="ma+bg",  # 3.3: averaged embeddings of the others, and the background of the frame before (table 4)
        noise=0.001,  # 3.3: "a little chance", without a number: that of the code
        noise_from="instances",  # 3.3: "randomly picked from all available instances"
        detach_keys=False,  # nothing is said
    ),
    test=dict(match_threshold=0.5),  # 3.2
)
