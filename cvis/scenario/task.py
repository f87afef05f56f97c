"""One step of a class stream: what is new, what is old, and what its learner may see."""

from __future__ import annotations

from dataclasses import dataclass

from cvis.data.videoset import VideoSet


@dataclass(frozen=True)
class Task:
    """Step ``index`` of a stream. Class ids are the data set's own, in learning order.

    Attributes:
        new_classes: C_t.
        old_classes: C_1:t-1, learned in earlier steps; empty at the base step.
        train: D_t, as the learner may see it: tracks of ``new_classes`` only (and, under
            ``other_class_policy="empty_target"``, zero-mask tracks of category ``NO_OBJECT``).
        hidden: instances that stand in the pixels of D_t but whose annotation is withheld.
    """

    index: int
    new_classes: tuple[int, ...]
    old_classes: tuple[int, ...]
    train: VideoSet
    hidden: int

    @property
    def seen_classes(self) -> tuple[int, ...]:
        """C_1:t, in learning order."""
        return self.old_classes + self.new_classes

    @property
    def is_base(self) -> bool:
        return self.index == 0
