"""All that an evaluation needs to know of its videos, without their masks: small, saved, merged, asked again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cvis.atomic import atomic_path
from cvis.errors import UserError
from cvis.evaluation.check import chosen_classes
from cvis.evaluation.match import Outcomes, Pairs, joined, match, places
from cvis.evaluation.protocol import MAX_DETECTIONS, outside
from cvis.evaluation.result import Result, accumulate
from cvis.files import refuse_bomb

LARGEST = 1 << 28
"""Bytes of a digest, unpacked: 256 MiB; that of 1,000 videos with 100 predictions each has some 5."""
SCHEMA = 1
"""Raise it whenever the arrays of a digest change their meaning."""

Selection = Literal["all", "with_gt"]


@dataclass(frozen=True, eq=False)
class Digest:
    """G ground-truth tracks, N detections and the IoUs of P pairs of both.

    Matching happens within one class of one video, and ranking within one class. So one digest answers for every
    subset of its classes and videos, and digests of different videos join into the digest of all of them.
    """

    sha256: str  # of the ground truth
    classes: np.ndarray  # int64 [K], data-set ids, ascending
    videos: np.ndarray  # int64 [V], every video of the ground truth, ascending
    added: np.ndarray  # bool [V], those for which predictions came
    gt_video: np.ndarray  # int64 [G], ascending
    gt_class: np.ndarray  # int64 [G]
    gt_area: np.ndarray  # float64 [G], mean pixels over the frames in which the track is visible
    gt_crowd: np.ndarray  # bool [G]
    video: np.ndarray  # int64 [N]; ordered by video, class and falling score, equal scores as they came
    category: np.ndarray  # int64 [N]; of every class in every video the best 100
    score: np.ndarray  # float64 [N]
    area: np.ndarray  # float64 [N], as gt_area
    pair_detection: np.ndarray  # int64 [P]
    pair_track: np.ndarray  # int64 [P], of the same video and class
    pair_iou: np.ndarray  # float64 [P], none below 0.5

    @property
    def missing_videos(self) -> tuple[int, ...]:
        """Videos without predictions; they count as empty."""
        return tuple(self.videos[~self.added].tolist())

    @property
    def pairs(self) -> Pairs:
        return Pairs(self.pair_detection, self.pair_track, self.pair_iou)

    def result(self, classes: Collection[int] | None = None, videos: Selection = "all") -> Result:
        """Precision and recall.

        Args:
            classes: data-set ids (default: all of the digest).
            videos: ``all``; or ``with_gt``, those in which one of ``classes`` is annotated. The second hides
                the false positives in other videos, and videos change with the classes.

        Raises:
            UserError: a class that the digest does not have, or an unknown selection.
        """
        wanted = np.array(chosen_classes(classes, self.classes.tolist(), "among the evaluated classes"), np.int64)
        if not wanted.size:
            raise UserError("classes: none: nothing to evaluate; name at least one of the evaluated classes")
        if videos not in ("all", "with_gt"):
            raise UserError(f"videos: {videos}: no such selection; use all or with_gt")
        with_gt = np.unique(self.gt_video[np.isin(self.gt_class, wanted)])
        chosen = self.videos if videos == "all" else with_gt
        kept, gt_kept = np.isin(self.video, chosen), np.isin(self.gt_video, chosen)
        curves = [self._curves(kept & (self.category == c), gt_kept & (self.gt_class == c)) for c in wanted]
        return Result(
            tuple(wanted.tolist()),
            np.stack([precision for precision, _ in curves], axis=2),
            np.stack([recall for _, recall in curves], axis=1),
            tuple(chosen[np.isin(chosen, self.missing_videos)].tolist()),
            videos,
            len(chosen),
        )

    @staticmethod
    def merge(digests: Sequence[Digest]) -> Digest:
        """The digest of all videos, from those of parts of them; the order of the parts does not matter.

        Raises:
            UserError: no digest, different ground truths or classes, or a video in two of them.
        """
        if not digests:
            raise UserError("digests: none given; merge at least one")
        first = digests[0]
        for other in digests[1:]:
            for name in ("sha256", "classes", "videos", "gt_video", "gt_class", "gt_area", "gt_crowd"):
                if not np.array_equal(getattr(first, name), getattr(other, name)):
                    raise UserError(f"digests: {name}: differs between them; merge digests of one ground truth only")
        times = np.sum([d.added for d in digests], axis=0)
        if (times > 1).any():
            twice = first.videos[times > 1][0]
            raise UserError(f"digests: video {twice}: in {times.max()} of them; give every video to one process only")
        tracks = {n: np.concatenate([getattr(d, n) for d in digests]) for n in ("video", "category", "score", "area")}
        pairs = joined([d.pairs for d in digests], [len(d.score) for d in digests])
        return replace(first, added=times > 0, **ordered(**tracks, pairs=pairs))

    def equals(self, other: Digest) -> bool:
        """Whether all arrays are the same, to the last bit."""
        return all(np.array_equal(getattr(self, field.name), getattr(other, field.name)) for field in fields(self))

    def save(self, path: Path | str) -> None:
        """Write the arrays, compressed and atomically.

        Raises:
            UserError: the file system refuses the write.
        """
        arrays: dict[str, Any] = {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, schema=np.array(SCHEMA), **arrays)

    @classmethod
    def load(cls, path: Path | str) -> Digest:
        """Read what :meth:`save` wrote.

        Raises:
            UserError: the file is missing, is no digest, or is one of another version.
        """
        try:
            refuse_bomb(Path(path), LARGEST)
            with np.load(path, allow_pickle=False) as file:
                if file.zip.testzip() is not None:  # NumPy itself stops reading before the checksum
                    raise ValueError("wrong checksum")
                arrays = {name: file[name] for name in file.files}
        except OSError as error:
            reason = error.strerror or str(error)
            raise UserError(f"{path}: cannot be read: {reason}; check the path of the digest") from error
        except Exception as error:  # zipfile, zlib and NumPy meet damage with a dozen kinds of error
            raise UserError(f"{path}: not a digest, or damaged: {error}; make it again") from error
        if not np.array_equal(arrays.pop("schema", None), SCHEMA):
            raise UserError(f"{path}: schema: not that of this version ({SCHEMA}); make the digest again")
        if set(arrays) != {field.name for field in fields(cls)}:
            raise UserError(f"{path}: not a digest, or damaged: it lacks arrays; make it again")
        digest = cls(str(arrays.pop("sha256")), **arrays)
        digest._check(path)
        return digest

    def _check(self, path: Path | str) -> None:
        """Arrays of one length where they belong together, and indices that exist."""
        lengths = {"videos": "videos added", "gt_video": "gt_video gt_class gt_area gt_crowd",
                  "video": "video category score area", "pair_iou": "pair_detection pair_track pair_iou"}  # fmt: skip
        fits = all(
            getattr(self, n).shape == (getattr(self, one).size,) for one, all_ in lengths.items() for n in all_.split()
        )
        for index, target in ((self.pair_detection, self.score), (self.pair_track, self.gt_area)):
            fits = fits and (index.size == 0 or (index.min() >= 0 and index.max() < len(target)))
        if not fits:
            raise UserError(f"{path}: not a digest, or damaged: its arrays do not fit each other; make it again")

    @cached_property
    def ranks(self) -> np.ndarray:
        """int [N], places among the detections of the own video and class, from 0."""
        return places(blocks(self.video, self.category))

    @cached_property
    def outcomes(self) -> Outcomes:
        """What became of the detections by the official matching."""
        gt_ignored = outside(self.gt_area) | self.gt_crowd[:, None]
        return match(blocks(self.video, self.category), outside(self.area), self.pairs, gt_ignored, self.gt_crowd)

    def _curves(self, chosen: np.ndarray, gt_chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        counted = ~outside(self.gt_area[gt_chosen]) & ~self.gt_crowd[gt_chosen][:, None]
        outcomes = Outcomes(self.outcomes.matched[chosen], self.outcomes.ignored[chosen])
        return accumulate(self.score[chosen], self.ranks[chosen], outcomes, counted.sum(axis=0))


def ordered(
    video: np.ndarray, category: np.ndarray, score: np.ndarray, area: np.ndarray, pairs: Pairs
) -> dict[str, Any]:
    """The part of a :class:`Digest` that tells of detections: sorted, and of every class in every video the best 100.

    Args:
        video: [N]; the detections of one video in the order in which they came.
    """
    order = np.lexsort((-score, category, video))
    order = order[places(blocks(video[order], category[order])) < MAX_DETECTIONS[-1]]
    place = np.full(len(score), -1)
    place[order] = np.arange(len(order))
    detection = place[pairs.detection]
    kept = np.lexsort((pairs.track, detection))
    kept = kept[detection[kept] >= 0]
    return {
        "video": video[order],
        "category": category[order],
        "score": score[order],
        "area": area[order],
        "pair_detection": detection[kept],
        "pair_track": pairs.track[kept],
        "pair_iou": pairs.iou[kept],
    }


def blocks(video: np.ndarray, category: np.ndarray) -> np.ndarray:
    """[N], one number per class and video, ascending; equal ones stand together.

    >>> blocks(np.array([1, 1, 1, 4]), np.array([3, 3, 7, 7])).tolist()
    [0, 0, 1, 2]
    """
    starts = (np.diff(video, prepend=video[:1]) != 0) | (np.diff(category, prepend=category[:1]) != 0)
    return np.cumsum(starts)
