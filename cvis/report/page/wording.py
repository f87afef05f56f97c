"""The words of the page: what every key of the protocol means, in one line."""

from __future__ import annotations

PROTOCOL: dict[str, str] = {
    "dataset": "The videos.",
    "split": "Where the test videos come from.",
    "test_fraction": "Share of the videos that is held out.",
    "split_confirmed": "Whether the split has the checksum that was published for it; none where none was.",
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
