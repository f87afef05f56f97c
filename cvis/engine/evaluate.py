"""Predict every test video, each process its shard."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from mmengine.dist import barrier, get_rank, get_world_size

from cvis.engine import stop
from cvis.engine.progress import Work, progress
from cvis.errors import Stopped, UserError
from cvis.evaluation import Digest
from cvis.evaluation.shards import Shard, merge
from cvis.learners import Learner
from cvis.runs.paths import StepFolder
from cvis.scenario import Scenario
from cvis.types import Tracks, Video

logger = logging.getLogger("cvis")
OUT_OF_MEMORY = re.compile("out of memory|can't allocate memory", re.IGNORECASE)
"""What torch says on a GPU, and on a CPU."""


def keep(tracks: Sequence[Tracks], scenario: Scenario, folder: StepFolder) -> Digest:
    """Leave ``folder`` the predictions of all processes, each for its own videos, and their digest: the answer.

    Several processes hand each other files, so that no masks are sent, nor held by another than the one that found
    them; the first puts them together, as one process would have written them.
    """
    shards = shards_of(folder)
    shards[get_rank()].write(tracks, scenario.test, scenario.classes)
    barrier()
    if get_rank() == 0:
        merge(shards, folder.predictions, folder.digest)
    barrier()
    return Digest.load(folder.digest)


def shards_of(folder: StepFolder) -> list[Shard]:
    """Of the processes."""
    return [Shard(folder.path, number + 1, get_world_size()) for number in range(get_world_size())]


def predict_videos(learner: Learner, videos: Iterable[Video], label: str | Work, amp: bool) -> list[Tracks]:
    """The tracks of every video, in the order of the videos; see :func:`predict_steps`."""
    return [tracks for (tracks,) in predict_steps(learner, videos, (), label, amp)]


def predict_steps(
    learner: Learner, videos: Iterable[Video], heads: Sequence[Any], label: str | Work, amp: bool
) -> list[list[Tracks]]:
    """For every video, in their order, the tracks that each of several steps finds.

    Args:
        heads: of each step (:meth:`~cvis.learners.Learner.heads`); empty: one step, the learner as it is.
        label: what the progress display calls this work.
        amp: compute in bf16.

    Raises:
        Stopped: a signal came, after the video that it met.
        UserError: a frame is missing or damaged, or memory does not suffice for a video.
    """
    videos = list(videos)
    device = next(learner.parameters()).device
    learner.eval()
    predictions = []
    autocast = torch.autocast(device.type, dtype=torch.bfloat16, enabled=amp)
    with torch.inference_mode(), autocast, progress(label, len(videos)) as update:
        for video in videos:
            if stop.received():
                break
            predictions.append(_predict(learner, video, heads))
            update("")
    if stopping := stop.asked():  # some are missing
        name = label.name if isinstance(label, Work) else label
        raise Stopped(stopping, f"{name}: stopped; the training before it is saved")
    return predictions


def _predict(learner: Learner, video: Video, heads: Sequence[Any]) -> list[Tracks]:
    """What each step finds in a video; where memory runs out, in smaller windows, of this video alone.

    Raises:
        UserError: memory does not suffice for windows of one frame either.
    """
    segmenter = learner.segmenter
    whole = segmenter.window
    try:
        while True:
            try:
                return learner.predict_steps(video, heads) if heads else [learner.predict(video)]
            except (MemoryError, RuntimeError) as error:  # the latter: of torch, on a GPU and on a CPU
                if not (isinstance(error, MemoryError) or OUT_OF_MEMORY.search(str(error))):
                    raise
            # Out here the traceback, which holds on to tensors, is gone.
            if not segmenter.window or segmenter.window == 1:
                raise UserError(
                    f"video {video.name}: {len(video)} frames: out of memory in evaluation; free some, or use a "
                    "machine with more, and run the same command again: what is trained is saved"
                )
            segmenter.window //= 2
            torch.cuda.empty_cache()
            logger.warning(
                "video %s: out of memory in evaluation; again in windows of %d frames, of which the last bits of its "
                "scores may depend",
                video.name,
                segmenter.window,
            )
    finally:
        if segmenter.window != whole:
            segmenter.window = whole
