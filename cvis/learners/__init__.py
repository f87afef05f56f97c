"""Continual-learning methods: one method, one paper, one file."""

from cvis.learners.base import Learner
from cvis.learners.crisp import Crisp
from cvis.learners.eclipse import Eclipse
from cvis.learners.finetune import FineTune
from cvis.learners.joint import Joint
from cvis.learners.registry import LEARNERS, available, build_learner, find_learner

__all__ = ["LEARNERS", "Crisp", "Eclipse", "FineTune", "Joint", "Learner", "available", "build_learner", "find_learner"]
