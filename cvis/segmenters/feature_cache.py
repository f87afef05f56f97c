"""What the frozen part of a model says of frames, kept by what they show: made once, and read by whoever asks again.

A memory is a pure function of pixels, frozen weights and precision, so these are its address. Nothing is ever out of
date: other weights, another size or another flip are other addresses. On disk later runs find it, of every learner with
the same frozen part.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from cvis.atomic import atomic_path
from cvis.errors import UserError
from cvis.segmenters.outputs import Memory

if TYPE_CHECKING:
    from cvis.segmenters.contract import SharedFeatures

GB = 10**9
logger = logging.getLogger("cvis")


class FeatureCache:
    """Memories of single clips, in RAM or on disk, up to a limit; what finds no room is made anew each time.

    Training and tests come round to every clip in turn, and dropping the oldest would drop each shortly before it is
    asked for. So in RAM only what the current step has not asked for makes room, the oldest first: the training clips
    of the step before, then the test's. On disk, which several runs may share, nothing does.

    Args:
        limit: bytes.
        about: what decides on the features beside the weights: how the model is set up.
        folder: where they lie on disk; None: in RAM.

    Attributes:
        hits, misses: clips that were found, and those that had to be made.
    """

    def __init__(self, limit: int, about: str, folder: Path | None = None) -> None:
        self.limit, self.about, self.folder = limit, about, folder
        self.hits = self.misses = 0
        self._kept: dict[str, Memory] = {}  # by when it was asked for last
        self._asked: dict[str, int] = {}  # in which step that was
        self._step = 0
        self._size = 0 if folder is None else sum(file.stat().st_size for file in folder.rglob("*.pt"))
        self._full = False
        self._weights: str | None = None

    def begin_step(self) -> None:
        """What was asked for until now may be dropped."""
        self._step += 1
        self._full = False

    def features(self, model: SharedFeatures, frames: Tensor, sizes: Tensor | None) -> Memory:
        """What ``model.encode(model.extract(frames, sizes))`` says, each clip by itself.

        Args:
            model: the same, with the same weights, at every call.
            frames: uint8 RGB [B, T, 3, H, W].
            sizes: [B, 2], height and width before the batch was padded; None: all of it is image.
        """
        if self._weights is None:
            self._weights = _checksum(self.about, [getattr(model, name) for name in model.feature_parts])
        clips = []
        for index, clip in enumerate(frames.split(1)):
            size = None if sizes is None else sizes[index : index + 1]
            key = self._key(model, clip, size)
            memory = self._find(key, frames.device)
            self.hits, self.misses = self.hits + (memory is not None), self.misses + (memory is None)
            if memory is None:
                with torch.inference_mode(False), torch.no_grad():  # or training could not read it later
                    memory = model.encode(model.extract(clip, size))
                self._keep(key, memory)
            clips.append(memory)
        return Memory(
            tuple(torch.cat(level) for level in zip(*(clip.levels for clip in clips), strict=True)),
            torch.cat([clip.mask_features for clip in clips]),
            clips[0].size,
        )

    def _key(self, model: SharedFeatures, clip: Tensor, size: Tensor | None) -> str:
        device = clip.device.type
        precision = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else torch.float32
        shown = None if size is None else size.tolist()
        about = (self._weights, model.fine_masks, device, precision, tuple(clip.shape), shown)
        digest = hashlib.blake2b(repr(about).encode(), digest_size=16)
        digest.update(clip.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def _find(self, key: str, device: torch.device) -> Memory | None:
        if self.folder is not None:
            file = self._file(self.folder, key)
            memory = _read(file) if file.is_file() else None
        elif (memory := self._kept.pop(key, None)) is not None:
            self._kept[key], self._asked[key] = memory, self._step
        return None if memory is None else _moved(memory, device)

    def _keep(self, key: str, memory: Memory) -> None:
        size = _bytes(memory)
        while self._size + size > self.limit and (old := next(iter(self._kept), None)) is not None:
            if self._asked[old] == self._step:
                break
            self._size -= _bytes(self._kept.pop(old))
        if self._size + size > self.limit:
            if not self._full:
                logger.info("feature cache: full at %.1f GB (runtime.cache_gb); the rest is made anew", self._size / GB)
            self._full = True
            return
        self._size += size
        kept = _moved(memory, torch.device("cpu"))
        if self.folder is None:
            self._kept[key], self._asked[key] = kept, self._step
        else:
            with atomic_path(self._file(self.folder, key)) as temporary:
                torch.save([list(kept.levels), kept.mask_features, list(kept.size)], temporary)

    def _file(self, folder: Path, key: str) -> Path:
        return folder / str(self._weights)[:16] / f"{key}.pt"


def _moved(memory: Memory, device: torch.device) -> Memory:
    return Memory(tuple(level.to(device) for level in memory.levels), memory.mask_features.to(device), memory.size)


def _bytes(memory: Memory) -> int:
    return sum(tensor.nbytes for tensor in (*memory.levels, memory.mask_features))


def _read(file: Path) -> Memory:
    try:
        levels, features, size = torch.load(file, mmap=True, weights_only=True)
        return Memory(tuple(levels), features, (size[0], size[1]))
    except Exception as error:  # a damaged file can end in any of torch's errors
        raise UserError(f"{file}: is damaged; delete it, and run the same command again") from error


def _checksum(about: str, parts: Iterable[nn.Module]) -> str:
    digest = hashlib.blake2b(about.encode(), digest_size=16)
    for part in parts:
        for name, value in part.state_dict().items():
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
