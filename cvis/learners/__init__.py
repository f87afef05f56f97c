"""Continual-learning methods: one method, one paper, one file, found by what it registers."""

from cvis.learners.base import Learner
from cvis.learners.registry import LEARNERS, available, build_learner, find_learner

__all__ = ["LEARNERS", "Learner", "available", "build_learner", "find_learner"]
