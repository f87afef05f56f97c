"""Predict every test video, each process its shard."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

import torch
from mmengine.dist import barrier, get_dist_info

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


def evaluate_step(learner: Learner, scenario: Scenario, folder: StepFolder, label: str | Work, amp: bool) -> Digest:
    """Predict the test videos and leave ``folder`` the predictions and their digest, which is the answer.

    Several processes hand each other files, so that no masks are sent, nor held by another than the one that found
    them; the first puts them together, as one process would have written them.

    Raises:
        Stopped, UserError: see :func:`predict_videos`.
    """
    rank, world_size = get_dist_info()
    shards = [Shard(folder.path, number + 1, world_size) for number in range(world_size)]
    tracks = predict_videos(learner, shards[rank].videos(scenario.test.videos), label, amp)
    shards[rank].write(tracks, scenario.test, scenario.classes)
    barrier()
    if rank == 0:
        merge(shards, folder.predictions, folder.digest)
    barrier()
    return Digest.load(folder.digest)


def predict_videos(learner: Learner, videos: Iterable[Video], label: str | Work, amp: bool) -> list[Tracks]:
    """The tracks of every video, in the order of the videos.

    Args:
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
            predictions.append(_predict(learner, video))
            update("")
    if stopping := stop.asked():  # some are missing
        name = label.name if isinstance(label, Work) else label
        raise Stopped(stopping, f"{name}: stopped; the training before it is saved")
    return predictions


def _predict(learner: Learner, video: Video) -> Tracks:
    """The tracks of a video; where memory runs out, in smaller windows, of this video alone.

    Raises:
        UserError: memory does not suffice for windows of one frame either.
    """
    segmenter = learner.segmenter
    whole = segmenter.window
    try:
        while True:
            try:
                return learner.predict(video)
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
