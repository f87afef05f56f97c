"""What methods are made of that look back at the model of the step before. Import from here for a method of yours."""

from cvis.learners.distill.learner import Distiller, TeacherLearner
from cvis.learners.distill.losses import (
    adaptive_mean,
    feature_distance,
    kl,
    mask_distillation,
    slot_mean,
    softmax_focal,
    unbiased_cross_entropy,
    unbiased_distillation,
    unbiased_focal,
    weighted_mean,
)
from cvis.learners.distill.pseudo_labels import pseudo_tracks, with_pseudo_labels
from cvis.learners.distill.teacher import OldView, Teacher

__all__ = [
    "Distiller",
    "OldView",
    "Teacher",
    "TeacherLearner",
    "adaptive_mean",
    "feature_distance",
    "kl",
    "mask_distillation",
    "pseudo_tracks",
    "slot_mean",
    "softmax_focal",
    "unbiased_cross_entropy",
    "unbiased_distillation",
    "unbiased_focal",
    "weighted_mean",
    "with_pseudo_labels",
]
