"""Test videos in shards: each is predicted and digested by itself, files of all of them become those of one process."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cvis.data.videoset import VideoSet
from cvis.errors import UserError
from cvis.evaluation.ap import VideoAP
from cvis.evaluation.digest import Digest
from cvis.evaluation.results import merge_results, write_results
from cvis.types import Tracks, Video


@dataclass(frozen=True)
class Shard:
    """Part ``number`` of ``count``, from 1; its files lie in ``folder``, the digest appears last."""

    folder: Path
    number: int
    count: int

    @property
    def predictions(self) -> Path:
        return self.folder / f"predictions-{self.number}-of-{self.count}.json.gz"

    @property
    def digest(self) -> Path:
        return self.folder / f"digest-{self.number}-of-{self.count}.npz"

    def videos(self, videos: Sequence[Video]) -> list[Video]:
        """Its share, in the order of the videos. Shares have about as many frames; none depends on another's work."""
        frames = [0] * self.count
        own = set()
        for video in sorted(videos, key=len, reverse=True):  # the longest first, each to whoever has least
            least = frames.index(min(frames))
            frames[least] += len(video)
            if least == self.number - 1:
                own.add(video.id)
        return [video for video in videos if video.id in own]

    def write(self, tracks: Sequence[Tracks], test: VideoSet, classes: Sequence[int]) -> None:
        """Keep the tracks of its videos, and what the evaluator knows of them."""
        digest = digest_of(tracks, test, classes)
        write_results(self.predictions, tracks)
        digest.save(self.digest)


def digest_of(tracks: Iterable[Tracks], test: VideoSet, classes: Sequence[int]) -> Digest:
    """Of the predictions of some test videos."""
    scores = VideoAP(test, classes)
    for predicted in tracks:
        scores.add(predicted)
    return scores.digest()


def all_shards(folder: Path) -> list[Shard]:
    """All shards of the division that ``folder`` has files of.

    Raises:
        UserError: there is none, there are several divisions, or shards are missing.
    """
    names = [re.fullmatch(r"digest-(\d+)-of-(\d+)\.npz", path.name) for path in folder.glob("*.npz")]
    there = {(int(name[1]), int(name[2])) for name in names if name}
    counts = sorted({count for _, count in there})
    if len(counts) != 1:
        what = f"shards of {' and of '.join(map(str, counts))}" if counts else "no shard"
        raise UserError(f"{folder}: {what}; give all --shard 1/n to n/n of one n, and remove the files of others")
    missing = [f"{number}/{counts[0]}" for number in range(1, counts[0] + 1) if (number, counts[0]) not in there]
    if missing:
        raise UserError(f"{folder}: missing: {', '.join(missing)}; predict them first, with --shard {missing[0]}")
    return [Shard(folder, number + 1, counts[0]) for number in range(counts[0])]


def merge(shards: Sequence[Shard], predictions: Path, digest: Path) -> Digest:
    """Make of the shards' files those that one process would have written, and remove them.

    Predictions pass entry by entry, so masks of no video are in memory together.

    Raises:
        UserError: a file is missing or damaged, or shards are of different test videos.
    """
    merged = Digest.merge([Digest.load(shard.digest) for shard in shards])
    if len(shards) == 1:
        shards[0].predictions.replace(predictions)
        shards[0].digest.replace(digest)
        return merged
    merge_results(predictions, [shard.predictions for shard in shards])
    merged.save(digest)
    for shard in shards:
        shard.predictions.unlink()
        shard.digest.unlink()
    return merged
