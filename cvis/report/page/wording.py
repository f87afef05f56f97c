"""The words of the page: what every metric and every key of the protocol means, in one line."""

from __future__ import annotations

from cvis.evaluation.measures import METRICS

MEANINGS: dict[str, str] = {
    "mAP": "Video average precision over all classes of the stream after the last step, mask IoU 0.50 to 0.95.",
    "mAP_all": "mAP over all classes of the stream; those not learned yet count with 0.",
    "mAP_seen": "mAP over the classes seen so far.",
    "mAP_base": "mAP over the classes of step 0.",
    "mAP_old": "mAP over the classes of all earlier steps.",
    "mAP_new": "mAP over the classes of this step; in the result table: of the last step.",
    "AP50": "Average precision at mask IoU 0.50.",
    "AP75": "Average precision at mask IoU 0.75.",
    "APs": "mAP over small objects.",
    "APm": "mAP over medium objects.",
    "APl": "mAP over large objects.",
    "AR1": "Average recall with one prediction per video.",
    "AR10": "Average recall with ten predictions per video.",
    "FR": "Forgetting rate in percent (CRISP, eq. 8): relative drop of each old class, early classes weighted less. "
    "Its ceiling depends on the stream.",
    "FR_normalized": "FR in percent of the FR of a model that loses everything: comparable between streams.",
    "forgetting": "Mean over old steps of (best mAP ever - mAP at the end), in points.",
    "bwt": "Backward transfer: mean over old steps of (mAP at the end - mAP when new), in points; "
    "negative is forgetting.",
    "avg_incremental_mAP": "Mean over all steps of the mAP over the classes seen so far.",
    "avg_incremental_mAP_without_base": "The same without step 0.",
    "plasticity": "Mean mAP of new classes at the step that brought them.",
    "relative_drop": "Mean relative drop of the old classes, in percent.",
    "n_never_learned": "Classes with AP 0 at the step that brought them.",
}

STEP_TITLES: dict[str, str] = {
    "mAP_all": "mAP, all classes",
    "mAP_seen": "mAP, classes seen so far",
    "mAP_base": "mAP, base classes",
    "mAP_old": "mAP, old classes",
    "mAP_new": "mAP, new classes",
    "APs": "mAP, small objects",
    "APm": "mAP, medium objects",
    "APl": "mAP, large objects",
}

PROTOCOL: dict[str, str] = {
    "dataset": "The videos.",
    "split": "Where the test videos come from.",
    "test_fraction": "Share of the videos that is held out.",
    "split_confirmed": "Whether the user vouched for the split.",
    "split_sha256": "Checksum of the split: which videos are trained on and which are scored.",
    "visibility": "Which videos a step sees, and which objects in them are annotated.",
    "other_class_policy": "What becomes of a video's objects whose class is not of this step.",
    "order": "The order in which classes arrive.",
    "base": "Number of classes at step 0.",
    "increments": "Number of new classes at each later step.",
    "exclude": "Classes left out of the stream.",
    "annotations_sha256": "Checksum of the training annotations.",
    "test_annotations_sha256": "Checksum of the test annotations.",
    "scenario_hash": "Checksum of the whole stream.",
    "freeze": "What is frozen after step 0.",
    "init": "The weights that step 0 starts from.",
    "schedule": "Iterations, learning rates, batch size.",
    "sampling": "How training clips are drawn and resized.",
    "segmenter": "The model, in full.",
}


def meaning(metric: str) -> str:
    return MEANINGS.get(metric, "")


def title(metric: str) -> str:
    """As printed in a column head."""
    return METRICS[metric][0] if metric in METRICS else metric
