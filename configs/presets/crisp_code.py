# What CRISP's released code (commit 8c092fc) does, where it and the paper differ or the paper is silent.
# It starts from COCO weights: add --init coco. Not offered, being defects: labels read from the last sampled
# frame, absent instances labelled as a class, the first epoch's batches repeated for ever. Its split is unpublished.
protocol = dict(
    visibility="overlap",  # a video recurs in every step that has a class of it
    other_class_policy="empty_target",  # instances of other classes become empty no-object targets
    freeze="backbone",  # prompt learners freeze all the rest too
)
segmenter = dict(class_head="mlp")  # three layers for every step's classes and for no-object
learners = dict(
    eclipse=dict(
        num_prompts=10,  # in every script, whatever the number of new classes
        deltas=[0.5, 0.6],
        own_mask_head=True,
        train_no_object=True,  # the shared no-object head goes on learning in every step
        aux_supervision="first_last",  # the inner decoder layers are not supervised after step 0
        classification="softmax_ce",  # the scripts' FOCAL is read by nothing
        answers="video",  # the ten best pairs of a query and a class, of all groups together
        other_classes="at_minus_10",  # the softmax of the scores is over them too
    ),
    crisp=dict(
        num_prompts=10,
        deltas=[0.5, 0.6],
        own_mask_head=True,
        train_no_object=True,
        aux_supervision="first_last",
        classification="softmax_ce",
        answers="video",
        other_classes="at_minus_10",
        inject="before_projection",  # P is added to what W_v reads
        context_std=1.0,  # torch's default for an embedding
        matching="cosine",  # row by row, where equation 1 has one norm for all
        isc_similarity="dot",  # no norm, no temperature
        pca_selection="reference_norm",  # norms of unit vectors: an order of rounding errors; times -1
        ic_target="first_block",
        lambda_isc=3.0,
        lambda_ic=3.0,  # for each of the ten terms
        step0_ic=False,  # the released scripts pass no flag of CRISP at step 0
    ),
)
