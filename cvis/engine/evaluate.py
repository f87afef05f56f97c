"""Predict every test video and score the step."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

import torch
from mmengine.dist import get_dist_info

from cvis.engine.progress import progress
from cvis.learners import Learner
from cvis.types import Tracks, Video


def predict_videos(learner: Learner, videos: Iterable[Video], label: str, amp: bool) -> list[Tracks]:
    """The tracks of every video, in the order of the videos; each rank predicts its share.

    Args:
        label: what the progress display calls this work.
        amp: compute in bf16.
    """
    rank, world_size = get_dist_info()
    videos = list(videos)
    share = videos[rank::world_size]
    device = next(learner.parameters()).device
    learner.eval()
    found = []
    with torch.inference_mode(), autocast(device, amp), progress(label, len(share)) as update:
        for video in share:
            found.append(learner.predict(video))
            update("")
    if world_size > 1:
        shares: list[list[Tracks]] = [[] for _ in range(world_size)]
        torch.distributed.all_gather_object(shares, found)
        found = [tracks for part in shares for tracks in part]
    by_id = {tracks.video_id: tracks for tracks in found}
    return [by_id[video.id] for video in videos]


def autocast(device: torch.device, amp: bool) -> AbstractContextManager:
    """bf16 where it is wanted."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if amp else nullcontext()
