"""Predict every test video and score the step."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from mmengine.dist import all_gather_object, get_dist_info

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
    predictions = []
    autocast = torch.autocast(device.type, dtype=torch.bfloat16, enabled=amp)
    with torch.inference_mode(), autocast, progress(label, len(share)) as update:
        for video in share:
            predictions.append(learner.predict(video))
            update("")
    by_id = {tracks.video_id: tracks for part in all_gather_object(predictions) for tracks in part}
    return [by_id[video.id] for video in videos]
