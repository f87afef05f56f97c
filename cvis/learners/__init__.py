"""Continual-learning methods: one method, one paper, one file."""

from cvis.learners.balconpas import BalConpas
from cvis.learners.base import Learner
from cvis.learners.combo import CoMBO
from cvis.learners.comformer import CoMFormer
from cvis.learners.crisp import Crisp
from cvis.learners.distill import Distiller
from cvis.learners.eclipse import Eclipse
from cvis.learners.finetune import FineTune
from cvis.learners.joint import Joint
from cvis.learners.mib import MiB
from cvis.learners.pseudo import Pseudo
from cvis.learners.registry import LEARNERS, available, build_learner, find_learner
from cvis.learners.replay import Replay

__all__ = [
    "LEARNERS",
    "BalConpas",
    "CoMBO",
    "CoMFormer",
    "Crisp",
    "Distiller",
    "Eclipse",
    "FineTune",
    "Joint",
    "Learner",
    "MiB",
    "Pseudo",
    "Replay",
    "available",
    "build_learner",
    "find_learner",
]
