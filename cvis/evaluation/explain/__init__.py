"""Where AP is lost: every error of a detector of tracks by its kind, and what each kind costs."""

from __future__ import annotations

from cvis.evaluation.explain.kinds import KINDS
from cvis.evaluation.explain.losses import Explanation, Losses, explain

__all__ = ["KINDS", "Explanation", "Losses", "explain"]
