"""Panels side by side: one video as the ground truth has it and as several steps see it, frame after frame."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from PIL import Image, ImageDraw
from pycocotools import mask as rle_tools

from cvis.data.frames import read_frame
from cvis.report.pictures.identities import colour_of, identities
from cvis.report.pictures.overlay import DARK, LIGHT, Label, line_height, overlay, shortened, text_size, write
from cvis.types import Track, Tracks, Video

MIN_SCORE = 0.3
MOST = 10
"""Tracks drawn of one prediction, the best ones."""
ACROSS = 4
"""Panels in one row of a video at most."""
GAP = 6
"""Pixels between pictures."""
_PANEL, _VIDEO, _STILL = 640, 1920, 2400  # pixels at most: of a panel's sides, of a row in a video, in a still


@dataclass(frozen=True)
class Panel:
    """One set of tracks under a title."""

    title: str
    tracks: Tracks
    labels: tuple[Label, ...]  # one per track
    is_truth: bool = False


def truth_panel(tracks: Sequence[Track], names: Mapping[int, str], video_id: int) -> Panel:
    """The annotated tracks of a video, in the order of the file."""
    ids = tuple(track.category_id for track in tracks)
    masks = tuple(track.segmentations for track in tracks)
    labels = tuple(Label(_plain(names, t.category_id) + (" (crowd)" if t.iscrowd else "")) for t in tracks)
    return Panel("ground truth", Tracks(video_id, ids, (1.0,) * len(ids), masks), labels, is_truth=True)


def predicted_panel(title: str, tracks: Tracks, names: Mapping[int, str], min_score: float = MIN_SCORE) -> Panel:
    """The predicted tracks with at least this score, ten at most, the surest first."""
    order = sorted(range(len(tracks)), key=lambda n: -tracks.scores[n])
    kept = [n for n in order if tracks.scores[n] >= min_score][:MOST]
    ids, scores = tuple(tracks.category_ids[n] for n in kept), tuple(tracks.scores[n] for n in kept)
    labels = tuple(Label(_plain(names, c), score) for c, score in zip(ids, scores, strict=True))
    return Panel(title, Tracks(tracks.video_id, ids, scores, tuple(tracks.segmentations[n] for n in kept)), labels)


@dataclass(frozen=True)
class Panels:
    """A video with several panels. Iterating gives its frames, uint8 ``[H, W, 3]``, all of one size.

    Equal objects have equal colours in all panels, see :func:`identities`. Of several answers of one prediction for
    one object the surest is drawn, with the number of the others behind it: "cat 0.82 +2".

    Attributes:
        columns: the ground truth, if there is one, comes first.
    """

    video: Video
    columns: tuple[Panel, ...]
    heading: str = ""

    def __len__(self) -> int:
        return len(self.video)

    def __iter__(self) -> Iterator[np.ndarray]:
        rows = math.ceil(len(self.columns) / ACROSS)
        across = math.ceil(len(self.columns) / rows)
        size = panel_size(self.video.height, self.video.width, across)
        for t in range(len(self.video)):
            pictures = [titled(p.title, picture) for p, picture in zip(self.columns, self.at(t, size), strict=True)]
            page = contact_sheet(pictures, across)
            yield self._headed(page, size, f"  frame {t + 1}/{len(self)}")

    def still(self, moments: int = 5) -> np.ndarray:
        """One picture of it all: a row per panel, a column per moment, spread evenly over the video."""
        times = _spread(len(self.video), moments)
        size = panel_size(self.video.height, self.video.width, len(times), _STILL)
        shown = [self.at(t, size) for t in times]
        rows = [titled(p.title, contact_sheet([at[n] for at in shown], len(times))) for n, p in enumerate(self.columns)]
        place = "  frames " + ", ".join(str(t + 1) for t in times) + f" of {len(self)}"
        return self._headed(contact_sheet(rows, 1), size, place)

    def _headed(self, page: np.ndarray, size: tuple[int, int], place: str) -> np.ndarray:
        return titled(self.heading, page, text_size(*size) + 2, place) if self.heading else page

    @cached_property
    def _identities(self) -> list[list[int]]:
        return identities([column.tracks for column in self.columns], self.columns[0].is_truth)

    def at(self, t: int, size: tuple[int, int]) -> list[np.ndarray]:
        """Every panel of frame ``t``, without titles."""
        frame = _resized(read_frame(self.video.frames[t], self.video.height, self.video.width), size)
        pictures = []
        for column, numbers in zip(self.columns, self._identities, strict=True):
            kept, labels = _one_per_object(column, numbers)
            codes = [column.tracks.segmentations[n][t] for n in kept]
            masks = [None if code is None else _enlarged(rle_tools.decode(code), size) for code in codes]
            pictures.append(overlay(frame, masks, labels, [colour_of(numbers[n]) for n in kept]))
        return pictures


def _one_per_object(column: Panel, numbers: Sequence[int]) -> tuple[list[int], list[Label]]:
    """The indices of the tracks that are drawn, and their labels."""
    if column.is_truth:
        return list(range(len(numbers))), list(column.labels)
    surest = {number: n for n, number in reversed(list(enumerate(numbers)))}  # they come by descending score
    kept = sorted(surest.values())
    others = Counter(numbers)
    return kept, [column.labels[n]._replace(others=others[numbers[n]] - 1) for n in kept]


def panel_size(height: int, width: int, across: int, widest: int = _VIDEO) -> tuple[int, int]:
    """Height and width of a panel, ``across`` of which fill a row: frames much smaller are enlarged by a whole factor.

    >>> panel_size(64, 96, across=4), panel_size(720, 1280, across=4), panel_size(1280, 720, across=1)
    ((256, 384), (267, 475), (640, 360))
    """
    room = min((widest - GAP * (across - 1)) // across, _PANEL)
    scale = min(room / width, _PANEL / height)
    factor = int(scale) if scale >= 2 else scale
    return max(1, round(height * factor)), max(1, round(width * factor))


def contact_sheet(pictures: Sequence[np.ndarray], across: int) -> np.ndarray:
    """Pictures of one width in rows of ``across``, each as high as its highest: uint8 ``[H, W, 3]``, dark between."""
    width = pictures[0].shape[1] + GAP
    rows = [pictures[n : n + across] for n in range(0, len(pictures), across)]
    heights = [max(picture.shape[0] for picture in row) + GAP for row in rows]
    page = np.full((sum(heights) - GAP, len(rows[0]) * width - GAP, 3), DARK, np.uint8)
    for row, y in zip(rows, np.cumsum([0, *heights]), strict=False):
        for n, picture in enumerate(row):
            page[y : y + picture.shape[0], n * width : (n + 1) * width - GAP] = picture
    return page


def _plain(names: Mapping[int, str], category_id: int) -> str:
    return names.get(category_id, f"class {category_id}").replace("_", " ")


def _spread(length: int, moments: int) -> list[int]:
    """Frames in the middle of equal parts of a video: also a short one has no two alike."""
    count = min(length, max(moments, 1))
    return [(2 * n + 1) * length // (2 * count) for n in range(count)]


def _resized(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if frame.shape[:2] == size:
        return frame
    smaller = size[0] < frame.shape[0]
    return cv2.resize(frame, size[::-1], interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LANCZOS4)


def _enlarged(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask at another size, with a smooth edge in place of stairs: bool [h, w]."""
    if mask.shape == size:
        return mask > 0
    factor = size[0] / mask.shape[0]
    larger = cv2.resize(255 * mask, size[::-1], interpolation=cv2.INTER_LINEAR)
    return (cv2.GaussianBlur(larger, (0, 0), 0.6 * factor) if factor > 1 else larger) > 127


def titled(title: str, picture: np.ndarray, size: int = 0, place: str = "") -> np.ndarray:
    """The picture with a strip above it for its title; ``place`` stands at the strip's right end."""
    size = size or text_size(*picture.shape[:2])
    width = picture.shape[1]
    strip = Image.new("RGB", (width, line_height(size) + 8), DARK)
    text = shortened(title, size, width - 12, place)
    write(ImageDraw.Draw(strip), 6, 4, text, size, LIGHT)
    return np.concatenate([np.asarray(strip), picture])
