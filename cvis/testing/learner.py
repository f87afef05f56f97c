"""The conformance kit of learners: each check is a function here, and ``CHECKS`` is the list of them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from cvis.learners import LEARNERS, Learner
from cvis.testing.check import Check, Outcome, named, outcome, require
from cvis.testing.learner_engine import frozen_parts, gradients, losses, new_classes, own_step0, seen_classes
from cvis.testing.learner_state import memory, one_pass, other_labels, replays, resume, same_seed, state_dict
from cvis.testing.trial import Trial

CHECKS: tuple[Check, ...] = (
    losses,
    new_classes,
    same_seed,
    resume,
    state_dict,
    gradients,
    frozen_parts,
    other_labels,
    replays,
    own_step0,
    seen_classes,
    one_pass,
    memory,
)
"""In the order of a report; each takes a :class:`~cvis.testing.trial.Trial`."""


def check_learner(
    learner: type[Learner] | str, *, segmenter: str = "mask2former_tiny", settings: Sequence[str] = ()
) -> None:
    """Train a learner on a tiny stream and check that it keeps the contract of :class:`cvis.Learner`.

    Args:
        learner: a class, a registered name, or ``path/to/file.py:Class``.
        segmenter: what it is tried with, as ``cvis run --segmenter`` takes it.
        settings: as ``--set`` takes them: ``("learner.weight=2",)``.

    Raises:
        Failed: a line for each failed check, with the remedy.
        UserError: there is no such learner, segmenter or setting, or they do not go together.
    """
    require(learner_outcomes(learner, segmenter, settings))


def learner_outcomes(
    learner: type[Learner] | str, segmenter: str = "mask2former_tiny", settings: Sequence[str] = ()
) -> Iterator[Outcome]:
    """What each check says, one after the other; arguments as of :func:`check_learner`."""
    with named(LEARNERS, learner) as name, tempfile.TemporaryDirectory(prefix="cvis-check-") as folder:
        trial = Trial(name, segmenter, settings, Path(folder))
        trial.build()  # what cannot be built is no failed check
        yield from (outcome(check, trial) for check in CHECKS)
