"""Short videos of chosen test videos: the ground truth and the prediction of each step, for every learner."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from cvis.data.videoset import VideoSet
from cvis.errors import UserError
from cvis.report.page.values import LearnerVideo, VideoGroup
from cvis.report.pictures.files import write_mp4
from cvis.report.pictures.recorded import Recorded, open_recorded
from cvis.report.views import Entry
from cvis.types import Video

BUDGET = 10_500_000
"""Bytes of videos and their posters in a page, over all its streams: 14 MB as base64."""
WIDTH = 1120  # pixels of a video; the page is as wide at most
CRF = 28  # of x264: half the bytes of its default, and labels stay legible


def make_videos(
    rows: Sequence[Entry], count: int, data: Path | None, budget: int
) -> tuple[tuple[VideoGroup, ...], tuple[str, ...]]:
    """Every row on ``count`` test videos of one stream, as far as ``budget`` bytes go, and what was left out and why.

    All rows show the same seed where they have it. Nothing here stops the page: a data set that is not on
    this machine, or predictions that were deleted, become a note.
    """
    seeds = [run.seed for row in rows for run in row.runs]
    seed = min(seeds, key=lambda seed: (-seeds.count(seed), seed))  # the one that most rows have
    opened, notes = _open(rows, seed, data)
    if not opened:
        return (), notes
    first = next(iter(opened.values()))
    groups, skipped = [], 0
    for video in choose(first.test, first.run.result.groups, count):
        made = []
        for name, recorded in opened.items():
            if skipped:  # one that did not fit is not followed by others that happen to be smaller
                skipped += 1
                continue
            try:
                shown, size = _encoded(name, recorded, video)
            except UserError as error:
                notes += (f"No video of {name}: {error}",)
                continue
            if size > budget:
                skipped = 1
                continue
            budget -= size
            made.append(shown)
        if made:
            note = f"Seed {seed}, {len(video)} frames, {_objects(first.test, video)}."
            groups.append(VideoGroup(f"Video {video.name}", note, tuple(made)))
    if skipped:
        notes += (f"{skipped} more videos were left out, so that the page stays small; `cvis visualize` makes them.",)
    return tuple(groups), tuple(dict.fromkeys(notes))


def choose(test: VideoSet, groups: Sequence[Sequence[int]], count: int) -> list[Video]:
    """The videos that show most: objects of base and of later classes, many, then the lowest id; longest first."""
    base = set(groups[0]) if groups else set()

    def worth(video: Video) -> tuple[int, int, int]:
        tracks = test.tracks[video.id]
        old = sum(track.category_id in base for track in tracks)
        return -min(old, len(tracks) - old), -len(tracks), video.id

    return sorted(sorted(test.videos, key=worth)[:count], key=len, reverse=True)


def _open(rows: Sequence[Entry], seed: int, data: Path | None) -> tuple[dict[str, Recorded], tuple[str, ...]]:
    opened, reasons = {}, []
    for row in rows:
        run = next((run for run in row.runs if run.seed == seed), row.runs[0])
        try:
            opened[row.label] = open_recorded(run.path, data)
        except UserError as error:
            reasons.append(f"No videos of {row.label}: {error}")
    if len(reasons) > 1 and not opened:
        reasons = [f"No videos of these runs. The first reason: {reasons[0]}"]
    return opened, tuple(reasons)


def _encoded(name: str, recorded: Recorded, video: Video) -> tuple[LearnerVideo, int]:
    """What one run predicted on a video, and the bytes that it takes."""
    panels = recorded.panels(video.id, heading=False)
    frames = [_fitted(frame) for frame in panels]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        write_mp4(frames, path, crf=CRF)
        content = path.read_bytes()
    height, width = frames[0].shape[:2]
    poster = cv2.imencode(".jpg", frames[len(frames) // 2][:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 70])[1].tobytes()
    titles = ", ".join(panel.title for panel in panels.columns)
    described = f"{name}, seed {recorded.run.result.seed}, on video {video.name}, side by side: {titles}"
    source, still = _embedded("video/mp4", content), _embedded("image/jpeg", poster)
    return LearnerVideo(name, described, source, still, width, height), len(content) + len(poster)


def _embedded(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _fitted(frame: np.ndarray) -> np.ndarray:
    """Not wider than the page shows it."""
    height, width = frame.shape[:2]
    if width <= WIDTH:
        return frame
    return cv2.resize(frame, (WIDTH, round(height * WIDTH / width)), interpolation=cv2.INTER_AREA)


def _objects(test: VideoSet, video: Video) -> str:
    names = {category.id: category.name for category in test.categories}
    objects = [names.get(track.category_id, str(track.category_id)) for track in test.tracks[video.id]]
    return f"{len(objects)} objects: {', '.join(objects)}" if objects else "no annotated object"
