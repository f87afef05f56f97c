"""Still images as a second source of training clips."""

from __future__ import annotations

import logging
from pathlib import Path

from cvis.data.clips import ClipDataset
from cvis.data.images import in_classes_of, read_coco
from cvis.data.pseudo import MixedClips, Motion, PseudoClips
from cvis.engine.config import Images
from cvis.errors import UserError
from cvis.scenario import Scenario, Task
from cvis.scenario.images import with_images

logger = logging.getLogger("cvis")


def add_images(stream: Scenario, source: Images) -> tuple[Scenario, str]:
    """The stream with images for its steps, and a checksum of what they add.

    Raises:
        UserError: the images cannot be read, or no class of theirs has the name of one of the stream's.
    """
    folder = None if source.frames is None else Path(source.frames).expanduser()
    everything = read_coco(Path(source.annotations).expanduser(), folder)
    in_stream = [category for category in stream.train.categories if category.id in stream.classes]
    images, unmatched = in_classes_of(everything, in_stream)
    shown = {track.category_id for track in images.all_tracks}
    if not shown:
        raise UserError(
            f"sampling.images.annotations: {source.annotations!r}: no annotated class has the name of one of the "
            f"stream's; it has {', '.join(unmatched) or 'none'}: rename its categories"
        )
    without = [category.name for category in in_stream if category.id not in shown]
    logger.info(
        "images: %d instances of %d of the stream's classes; classes without images: %s; not in the stream: %s",
        images.num_tracks,
        len(shown),
        ", ".join(without) or "none",
        ", ".join(unmatched) or "none",
    )
    return with_images(stream, images), images.sha256


def with_image_clips(clips: ClipDataset, task: Task, source: Images | None) -> ClipDataset | MixedClips:
    """The clips of a step, a part of them of its images, if it has any."""
    if source is None or task.images is None:
        return clips
    motion = Motion(source.rotation, source.zoom, source.colour, source.paste)
    return MixedClips(clips, PseudoClips(task.images, clips.sampling, motion), source.ratio)
