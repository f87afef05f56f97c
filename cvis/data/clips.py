"""Training clips: a few frames of one video, cropped, resized and flipped together, with the masks of its tracks."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from pycocotools import mask as coco_mask
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cvis.data.frames import Crop, View, draw_view, read_frames
from cvis.data.sampler import ClipSampler
from cvis.data.videoset import VideoSet
from cvis.errors import UserError
from cvis.types import NO_OBJECT, Clip, Targets, Track, Video

if TYPE_CHECKING:
    from cvis.data.pseudo import MixedClips

__all__ = ["ClipDataset", "ClipSampler", "ClipSampling", "Sample", "Source", "collate", "make_loader"]


@dataclass(frozen=True, slots=True)
class ClipSampling:
    """How clips are drawn from videos; the defaults are those of Mask2Former-VIS on YouTube-VIS.

    Attributes:
        num_frames: T, frames per clip.
        frame_range: the other frames lie at most so far from the reference frame.
        short_sides: one is drawn per clip as the length of the shorter side, pixels.
        max_size: bound of the longer side, pixels.
        flip: probability of a horizontal flip, per clip.
        crop: before all that, perhaps a part of the frames is cut out; objects outside are no targets.
        skip_unreadable: where a frame cannot be read, show another video in its place, and say so.

    Raises:
        UserError: a value is out of range.
    """

    num_frames: int = 2
    frame_range: int = 20
    short_sides: tuple[int, ...] = (360, 480)
    max_size: int = 1333
    flip: float = 0.5
    crop: Crop | None = None
    skip_unreadable: bool = False

    def __post_init__(self) -> None:
        bounds = {
            "num_frames": (self.num_frames >= 1, "at least 1"),
            "frame_range": (self.frame_range >= 1, "at least 1"),
            "short_sides": (bool(self.short_sides) and min(self.short_sides) >= 1, "one or more sizes >= 1"),
            "max_size": (self.max_size >= 1, "at least 1"),
            "flip": (0 <= self.flip <= 1, "between 0 and 1"),
        }
        for field, (valid, rule) in bounds.items():
            if not valid:
                raise UserError(f"clip sampling: {field}: {getattr(self, field)}: must be {rule}")


@dataclass(frozen=True, slots=True)
class Sample:
    """One training clip with its N target instances."""

    frames: Tensor  # [T, 3, H, W] uint8 RGB
    category_ids: Tensor  # [N] int64, data-set ids (or NO_OBJECT)
    masks: Tensor  # [N, T, H, W] bool
    name: str  # "<video name>[<frame>,<frame>]"
    skipped: tuple[str, ...] = ()  # why those before it were not shown: a line for each
    identities: Tensor | None = None  # [N] int64, see Targets


@dataclass(frozen=True, slots=True)
class Source:
    """A video that can be sampled."""

    video: Video
    tracks: tuple[Track, ...]  # without crowds
    shown: tuple[int, ...]  # the possible reference frames
    first: int = 0  # identity of the first track; the others follow it


class ClipDataset(Dataset[Sample]):
    """Clips of the videos that have something to learn in them.

    ``dataset[index, seed]`` is a pure function of its key: no state, no global random numbers. That makes
    a resumed run see the same clips.

    The reference frame is uniform among the frames that show a track of a class (of any kind, if the video
    has none but ``NO_OBJECT`` tracks). Published code draws it among all frames; where annotations of other
    steps' classes are withheld, most frames would then teach nothing but "no object". The other frames are
    drawn without repetition within ``frame_range`` on both sides, and put into order. A video with too few
    frames shows some of them again.

    Tracks marked ``iscrowd`` are no targets. A video without targets is left out; ``len`` counts the others.

    With ``skip_unreadable`` a clip with a frame that cannot be read is one of the next video instead, drawn by the same
    seed. The clips that can be read stay what they were.

    Raises:
        UserError: no video has a target.
    """

    def __init__(self, videos: VideoSet, sampling: ClipSampling) -> None:
        self.sampling = sampling
        candidates = (_source(video, videos.tracks[video.id]) for video in videos.videos)
        sources = [source for source in candidates if source.shown]
        firsts = accumulate((len(source.tracks) for source in sources), initial=0)
        self._sources = tuple(replace(source, first=first) for source, first in zip(sources, firsts, strict=False))
        if not self._sources:
            what = f"none of the {len(videos)} videos has a visible track to learn from"
            raise UserError(f"training data: {what}; choose other classes or another split")

    def __len__(self) -> int:
        return len(self._sources)

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        """The clip of video ``index`` that ``seed`` draws.

        Raises:
            UserError: a frame's file is missing or unreadable; with ``skip_unreadable``, one of every video.
        """
        index, seed = key
        skipped: list[str] = []
        for source in (*self._sources[index:], *self._sources[:index]):
            try:
                return self._sample(source, seed, tuple(skipped))
            except UserError as error:
                if not self.sampling.skip_unreadable:
                    raise UserError(f"{error}, or leave such clips out: --on-bad-frame skip") from error
                skipped.append(str(error))
        raise UserError(f"training data: no video can be shown, the first because of {skipped[0]}")

    def _sample(self, source: Source, seed: int, skipped: tuple[str, ...]) -> Sample:
        video, how = source.video, self.sampling
        rng = np.random.default_rng(seed)
        times = _draw_times(rng, source.shown, len(video), how)
        view = draw_view(rng, video.height, video.width, how.short_sides, how.max_size, how.flip, how.crop)
        frames = view.frames(read_frames([video.frames[t] for t in times], video.height, video.width))
        targets = _targets(source, times, view)
        return Sample(
            frames=torch.from_numpy(np.ascontiguousarray(frames.transpose(0, 3, 1, 2))),
            category_ids=targets.category_ids,
            masks=targets.masks,
            name=f"{video.name}[{','.join(map(str, times))}]",
            skipped=skipped,
            identities=targets.identities,
        )


def _source(video: Video, tracks: Sequence[Track]) -> Source:
    targets = tuple(track for track in tracks if not track.iscrowd)
    of_classes = [track for track in targets if track.category_id != NO_OBJECT]
    shown = {t for track in of_classes or targets for t, rle in enumerate(track.segmentations) if rle is not None}
    return Source(video, targets, tuple(sorted(shown)))


def _draw_times(rng: np.random.Generator, shown: Sequence[int], length: int, how: ClipSampling) -> list[int]:
    """``num_frames`` frame numbers in ascending order."""
    reference = int(rng.choice(shown))
    window = range(max(0, reference - how.frame_range), min(length, reference + how.frame_range + 1))
    near = [t for t in window if t != reference]
    wanted = how.num_frames - 1
    others = rng.permutation(near)[:wanted].tolist()
    again = rng.choice(window, wanted - len(others)).tolist()  # empty unless the video is too short
    return sorted([reference, *map(int, others), *again])


def _targets(source: Source, times: Sequence[int], view: View) -> Targets:
    """The tracks that are visible in the clip, after augmentation, in at least one frame.

    A category is its track's own, whichever frames were drawn. ``NO_OBJECT`` tracks stand for an instance
    that must not be found: their masks are empty, and they count as visible where they are annotated.
    """
    category_ids, masks, identities = [], [], []
    for identity, track in enumerate(source.tracks, source.first):
        rles = [track.segmentations[t] for t in times]
        present = [k for k, rle in enumerate(rles) if rle is not None]
        if not present:
            continue
        mask = np.zeros((len(times), view.height, view.width), bool)
        if track.category_id != NO_OBJECT:
            decoded = [coco_mask.decode(rles[k]) for k in present]
            mask[present] = view.masks(np.stack(decoded))
            if not mask.any():
                continue
        category_ids.append(track.category_id)
        masks.append(mask)
        identities.append(identity)
    stacked = np.stack(masks) if masks else np.zeros((0, len(times), view.height, view.width), bool)
    ids, numbers = (torch.tensor(values, dtype=torch.int64) for values in (category_ids, identities))
    return Targets(ids, torch.from_numpy(stacked), numbers)


def collate(samples: Sequence[Sample]) -> Clip:
    """A batch, padded at the right and bottom, with zeros, to the greatest height and width in it."""
    sizes = torch.tensor([sample.frames.shape[-2:] for sample in samples])
    height, width = sizes.amax(dim=0).tolist()
    return Clip(
        frames=torch.stack([_pad(sample.frames, height, width) for sample in samples]),
        sizes=sizes,
        targets=tuple(Targets(s.category_ids, _pad(s.masks, height, width), s.identities) for s in samples),
        names=tuple(sample.name for sample in samples),
        skipped=tuple(reason for sample in samples for reason in sample.skipped),
    )


def padded(clip: Clip, height: int, width: int) -> Clip:
    """The batch with so many more zeros at the right and bottom."""
    targets = tuple(replace(t, masks=_pad(t.masks, height, width)) for t in clip.targets)
    return replace(clip, frames=_pad(clip.frames, height, width), targets=targets)


def _pad(images: Tensor, height: int, width: int) -> Tensor:
    missing = height - images.shape[-2], width - images.shape[-1]
    return torch.nn.functional.pad(images, (0, missing[1], 0, missing[0])) if any(missing) else images


def make_loader(
    dataset: ClipDataset | MixedClips, sampler: ClipSampler, workers: int = 0, pin_memory: bool = False
) -> DataLoader:
    """Batches of training clips, each a :class:`~cvis.types.Clip`, in the sampler's order.

    Any number of worker processes gives the same batches. They live as long as the one pass that a step makes.

    Args:
        pin_memory: put batches where a GPU can fetch them while others are made and learned from.

    Raises:
        ValueError: the sampler was made for another number of videos.
    """
    if sampler.num_videos != len(dataset):
        raise ValueError(f"the sampler counts {sampler.num_videos} videos, the clips come from {len(dataset)}")
    return DataLoader(
        dataset,
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=collate,
        worker_init_fn=_settle_worker,
        pin_memory=pin_memory,
        generator=torch.Generator(),  # without it every pass would draw from torch's global generator
    )


def _settle_worker(_worker: int) -> None:
    """A worker is one core's work; more threads would only fight with the training process.

    What a terminal or a cluster sends to all processes is for the training process, which still needs its workers.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
