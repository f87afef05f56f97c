"""The run-time check that no withheld annotation reaches a loss.

:mod:`cvis.scenario.visibility` withholds the annotations; this check stands right before the loss, so
that a learner's own ``train_data``, a replay buffer or a loader that goes wrong is caught in the first batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cvis.errors import UserError
from cvis.scenario.visibility import Task
from cvis.types import NO_OBJECT


class AnnotationLeak(UserError):
    """A target of a class that the step must not see."""


def audit(
    category_ids: Sequence[Iterable[int]],
    task: Task,
    names: Sequence[str] = (),
    replays: bool = False,
) -> None:
    """Check one training batch: the category ids of the targets of each of its clips.

    Args:
        category_ids: per clip, the ids of its targets (integers, or an int64 tensor [N]).
        names: per clip, what a message calls it.
        replays: the learner declares that it replays old classes: C_1:t is allowed, not C_t alone.

    Raises:
        AnnotationLeak: names the step, the class and the clip.
    """
    allowed = {NO_OBJECT, *(task.seen_classes if replays else task.new_classes)}
    for position, ids in enumerate(category_ids):
        values = ids.tolist() if hasattr(ids, "tolist") else ids
        for category_id in values:
            if category_id not in allowed:
                name = names[position] if position < len(names) else f"clip {position} of the batch"
                raise AnnotationLeak(_message(category_id, task, name))


def _message(category_id: int, task: Task, name: str) -> str:
    known = {category.id: category.name for category in task.train.categories}
    old = category_id in task.old_classes
    remedy = "set replays = True if the learner replays old classes" if old else "train on task.train and nothing else"
    return (
        f"{name}: category_id: {category_id} ({known.get(category_id, 'unknown')}): "
        f"an annotation of {'an old' if old else 'a'} class that step {task.index} must not see; {remedy}"
    )
