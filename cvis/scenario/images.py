"""What a step may see of still images: what it may see of videos."""

from __future__ import annotations

from dataclasses import replace

from cvis.data.videoset import VideoSet
from cvis.scenario.stream import Scenario
from cvis.scenario.visibility import make_tasks
from cvis.types import NO_OBJECT


def with_images(stream: Scenario, images: VideoSet) -> Scenario:
    """The stream with images for every step that has a class of theirs, chosen and emptied as its videos are.

    Args:
        images: under the stream's category ids (:func:`cvis.data.images.in_classes_of`).
    """
    steps, protocol = [task.new_classes for task in stream], stream.protocol
    parts = make_tasks(images, steps, protocol["visibility"], protocol["other_class_policy"])
    tasks = (
        replace(task, images=part.train if _teaches(part.train) else None)
        for task, part in zip(stream, parts, strict=True)
    )
    return replace(stream, tasks=tuple(tasks))


def _teaches(images: VideoSet) -> bool:
    return any(track.category_id != NO_OBJECT and not track.iscrowd for track in images.all_tracks)
