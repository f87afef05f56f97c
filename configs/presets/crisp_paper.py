# What CRISP's paper (arXiv 2508.10432) says, where it and the released code differ. Where the paper is silent
# (deltas, initial weights, the context's first values, the text encoder's size) cvis's own defaults stay.
# Not offered: as many prompts as the step has classes (Algorithm 1): set learner.num_prompts to it by hand.
protocol = dict(
    visibility="overlap",  # III-A: D_t holds the videos that have annotations of C_t
    other_class_policy="drop",  # III-A: annotations of old and future classes are "completely absent"
)
learners = dict(
    eclipse=dict(
        aux_supervision="all",  # III-D: L_Seg "as defined by" Mask2Former, which supervises every layer
        classification="softmax_ce",  # III-D: the classification loss is a cross entropy
    ),
    crisp=dict(
        aux_supervision="all",
        classification="softmax_ce",
        arsp=True,  # III-B: the method has all four parts
        isc=True,
        pca_init=True,
        ic=True,
        # Equation 2 prints (V + P), V the layer's value beside its query and key: what W_v has made. The released code
        # adds P to what W_v reads, so that its layers see W_v P. Nothing in the text decides between the two.
        inject="after_projection",
        matching="dot",  # equation 1: Frobenius norms are one number for all pairs
        isc_similarity="cosine",  # III-C: "by computing the cosine similarity matrix"
        pca_selection="top_variance",  # III-C: components "of the largest eigenvalues"
        ic_target="first_block",  # equation 6 does not say how the two sizes meet
        lambda_isc=3.0,  # III-D
        lambda_ic=3.0,  # III-D, with an auxiliary loss in every decoder layer
        step0_ic=True,  # Table VIII: rows with IC differ from the others at step 0 already
    ),
)
