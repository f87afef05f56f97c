"""Whole tracks in run-length code: their strings end to end, read at once.

Two backends give the same integers: machine code of numba's (:mod:`cvis.data.kernel`) where it can be had, else
pycocotools (:mod:`cvis.data.fallback`). The environment variable ``CVIS_KERNEL`` forces one.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from cvis.errors import UserError
from cvis.types import RLE

_MODULES = {"numba": "cvis.data.kernel", "pycocotools": "cvis.data.fallback"}


def backend() -> ModuleType:
    """The module that decodes and intersects: ``CVIS_KERNEL``, else numba if there is code of it.

    Raises:
        UserError: ``CVIS_KERNEL`` is neither numba nor pycocotools, or numba and cannot be imported.
    """
    return _backend(os.environ.get("CVIS_KERNEL") or None)


@cache
def _backend(name: str | None) -> ModuleType:
    if name is not None and name not in _MODULES:
        raise UserError(f"CVIS_KERNEL: {name}: no such kernel; use one of {', '.join(_MODULES)}, or unset it")
    try:
        return importlib.import_module(_MODULES[name or "numba"])
    except ImportError as error:
        if name is not None:
            raise UserError(f"CVIS_KERNEL: {name}: cannot be imported: {error}; install it or unset it") from error
        return importlib.import_module(_MODULES["pycocotools"])


@dataclass(frozen=True, slots=True)
class TrackMasks:
    """N tracks of T frames, decoded once to be compared often."""

    height: int
    width: int
    codes: np.ndarray  # uint8 [B], the compressed strings end to end
    offsets: np.ndarray  # int64 [N T + 1], where each begins; absent masks have none
    ends: np.ndarray  # uint32 [R], where the runs end, background first; none from the fallback
    starts: np.ndarray  # int64 [N T + 1], where each mask's runs begin
    areas: np.ndarray  # float64 [N, T], integers; 0 where absent
    sound: np.ndarray  # bool [N, T], False where the runs do not fill the frame

    @classmethod
    def of(cls, counts: Sequence[bytes | str | None], num_frames: int, height: int, width: int) -> TrackMasks:
        """Decode compressed strings, N T of them, track by track; None where a track is absent.

        Raises:
            UserError: the frame is too large for the run-length code.
        """
        if height * width >= 2**32:
            raise UserError(f"size: {height} x {width}: run lengths are counted in 32 bits; use smaller frames")
        lengths, codes = _joined(counts)
        offsets = np.append(0, np.cumsum(lengths))
        ends, starts, areas, sound = backend().decode(codes, offsets, height * width)
        if (lengths == 0).any():
            sound[[n for n, c in enumerate(counts) if c is not None and not c]] = False
        shape = (-1, num_frames) if num_frames else (0, 0)
        areas, sound = areas.astype(np.float64).reshape(shape), sound.reshape(shape)
        return cls(height, width, codes, offsets, ends, starts, areas, sound)

    def rle(self, track: int, frame: int) -> RLE:
        """One mask as pycocotools takes it; it must be present."""
        n = track * self.areas.shape[1] + frame
        counts = self.codes[self.offsets[n] : self.offsets[n + 1]].tobytes()
        return RLE(size=[self.height, self.width], counts=counts)

    def intersect(self, ground_truth: TrackMasks, detections: np.ndarray, tracks: np.ndarray) -> np.ndarray:
        """Common pixels per frame of P pairs ``(detections[p], tracks[p])`` of indices: int64 [P, T]."""
        return backend().intersect(self, ground_truth, detections, tracks)


def _joined(counts: Sequence[bytes | str | None]) -> tuple[np.ndarray, np.ndarray]:
    """The length of every string in bytes, and all of them end to end."""
    texts: list[Any] = [c for c in counts if c is not None]
    kinds = set(map(type, texts))
    if kinds == {str} and all(map(str.isascii, texts)):
        codes = "".join(texts).encode()
    else:  # not ASCII: no valid code, hence damaged
        texts = [c.encode(errors="surrogatepass") if isinstance(c, str) else c for c in texts]
        codes = b"".join(texts)
    lengths = np.zeros(len(counts), np.int64)
    present = slice(None) if len(texts) == len(counts) else [c is not None for c in counts]
    lengths[present] = np.fromiter(map(len, texts), np.int64, len(texts))
    return lengths, np.frombuffer(codes, np.uint8)
