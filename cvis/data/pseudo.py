"""Pseudo-videos: clips made of still images with instance masks, in which every instance keeps its identity.

As CTVIS trains on COCO (Ying et al., ICCV 2023): rotation, crop, and copy-paste between images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from pycocotools import mask as coco_mask
from torch.utils.data import Dataset

from cvis.data.clips import ClipDataset, ClipSampling, Sample, Source
from cvis.data.frames import read_frame, resized
from cvis.data.videoset import VideoSet
from cvis.data.warp import Pose, Warp
from cvis.errors import UserError
from cvis.types import NO_OBJECT, Track, Video

Size = tuple[int, int]
"""Height and width of a frame, pixels."""


@dataclass(frozen=True, slots=True)
class Motion:
    """How an image becomes a clip. Between the first frame and the last, the camera moves evenly.

    Attributes:
        rotation: the camera is turned by at most so many degrees, in the first and in the last frame.
        zoom: at these ends it shows the image's size divided by a number between 1 and this one.
        colour: per clip, contrast, brightness and saturation change by at most this share.
        paste: the probability that instances of another image move through the clip, in front of this one's.

    Raises:
        UserError: a value is out of range.
    """

    rotation: float = 15.0
    zoom: float = 2.0
    colour: float = 0.2
    paste: float = 0.5

    def __post_init__(self) -> None:
        bounds = {
            "rotation": (0 <= self.rotation <= 180, "between 0 and 180 degrees"),
            "zoom": (self.zoom >= 1, "at least 1"),
            "colour": (0 <= self.colour < 1, "at least 0 and below 1"),
            "paste": (0 <= self.paste <= 1, "between 0 and 1"),
        }
        for field, (valid, rule) in bounds.items():
            if not valid:
                raise UserError(f"pseudo-videos: {field}: {getattr(self, field)}: must be {rule}")

    def poses(self, rng: np.random.Generator, image: Video, size: Size, frames: int) -> list[Pose]:
        """Of every frame of ``size``; what they show lies within the image, but for its corners."""
        first, last = (self._pose(rng, image, size) for _ in range(2))
        return [first.towards(last, t / max(frames - 1, 1)) for t in range(frames)]

    def _pose(self, rng: np.random.Generator, image: Video, size: Size) -> Pose:
        scale = min(image.height / size[0], image.width / size[1]) / rng.uniform(1, self.zoom)
        free = np.array([image.width - scale * size[1], image.height - scale * size[0]])
        x, y = np.array([image.width, image.height]) / 2 + free * rng.uniform(-0.5, 0.5, 2)
        return Pose(float(x), float(y), float(np.deg2rad(rng.uniform(-self.rotation, self.rotation))), float(scale))


class PseudoClips(ClipDataset):
    """Clips of images, which are videos of one frame; see :class:`ClipDataset`, whose every promise they keep.

    An image without an instance to learn from is left out, and only instances that are targets are ever pasted.
    """

    def __init__(self, images: VideoSet, sampling: ClipSampling, motion: Motion) -> None:
        super().__init__(images, sampling)
        self.motion = motion

    def _sample(self, source: Source, seed: int, skipped: tuple[str, ...]) -> Sample:
        rng, how = np.random.default_rng(seed), self.sampling
        image = source.video
        size = resized(image.height, image.width, int(rng.choice(how.short_sides)), how.max_size)
        frames, masks = self._shown(rng, image, source.tracks, size)
        tracks = list(source.tracks)
        if rng.random() < self.motion.paste:
            frames, masks = self._with_pasted(rng, frames, masks, tracks, size)
        if rng.random() < how.flip:
            frames, masks = frames[:, :, ::-1], masks[..., ::-1]
        frames = recoloured(rng, frames, self.motion.colour)
        ids = np.array([track.category_id for track in tracks], np.int64)
        kept = masks.any((1, 2, 3)) | (ids == NO_OBJECT)  # the latter have none, in videos too
        return Sample(
            torch.from_numpy(np.ascontiguousarray(frames.transpose(0, 3, 1, 2))),
            torch.from_numpy(ids[kept]),
            torch.from_numpy(np.ascontiguousarray(masks[kept])),
            name=f"{image.name}[image]",
            skipped=skipped,
        )

    def _shown(
        self, rng: np.random.Generator, image: Video, tracks: Sequence[Track], size: Size
    ) -> tuple[np.ndarray, np.ndarray]:
        """Frames [T, h, w, 3] and masks [N, T, h, w] of one image as the camera moves."""
        picture = read_frame(image.frames[0], image.height, image.width)
        whole = np.zeros((len(tracks), image.height, image.width), bool)
        for mask, track in zip(whole, tracks, strict=True):
            if track.category_id != NO_OBJECT and track.segmentations[0] is not None:
                mask[:] = coco_mask.decode(track.segmentations[0])
        warps = [Warp(pose, *size) for pose in self.motion.poses(rng, image, size, self.sampling.num_frames)]
        return np.stack([warp.frame(picture) for warp in warps]), np.stack([warp.masks(whole) for warp in warps], 1)

    def _with_pasted(
        self,
        rng: np.random.Generator,
        frames: np.ndarray,
        masks: np.ndarray,
        tracks: list[Track],
        size: Size,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Some instances of a random image in front; they are added to ``tracks``."""
        other = self._sources[int(rng.integers(len(self._sources)))]
        targets = [track for track in other.tracks if track.category_id != NO_OBJECT]
        chosen = [track for track in targets if rng.random() < 0.5] or targets[:1]
        pasted, in_front = self._shown(rng, other.video, chosen, size)
        taken = np.logical_or.reduce(in_front, axis=0)
        tracks += chosen
        return np.where(taken[..., None], pasted, frames), np.concatenate([masks & ~taken, in_front])


def recoloured(rng: np.random.Generator, frames: np.ndarray, share: float) -> np.ndarray:
    """uint8 [..., 3] with saturation, contrast and brightness changed, each by a factor in 1 +- ``share``."""
    saturation, contrast, brightness = rng.uniform(1 - share, 1 + share, 3).astype(np.float32)
    if not share:
        return frames
    values = frames.astype(np.float32)
    grey = values.mean(-1, keepdims=True)
    mean = values.mean()
    values = (grey + saturation * (values - grey) - mean) * contrast + mean * brightness
    return np.rint(values).clip(0, 255).astype(np.uint8)


class MixedClips(Dataset[Sample]):
    """Clips of videos, some of which give way to clips of images; ``len`` counts the videos.

    ``dataset[index, seed]`` is a pure function of its key, and a clip of a video that stays is what it would be alone.

    Args:
        ratio: of image clips to video clips, more than 0.
    """

    def __init__(self, videos: ClipDataset, images: PseudoClips, ratio: float) -> None:
        self.videos, self.images = videos, images
        self.share = 1 - 1 / (1 + ratio)

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        """As :meth:`ClipDataset.__getitem__`."""
        rng = np.random.default_rng([key[1], 1])  # not the generator that draws the clip
        if rng.random() >= self.share:
            return self.videos[key]
        return self.images[int(rng.integers(len(self.images))), key[1]]
