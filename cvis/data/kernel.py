"""Run-length code as machine code: what :mod:`cvis.data.fallback` does, several times faster.

numba makes the code of :mod:`cvis.data.kernel_source` once, for this kind of processor; it is kept in the user's
cache, and llvmlite, on which numba stands, loads it in a tenth of the time that numba's own import takes.
"""

from __future__ import annotations

import ctypes
import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

import llvmlite
import llvmlite.binding as llvm
import numpy as np

from cvis.atomic import atomic_path
from cvis.errors import UserError
from cvis.files import cache_dir

if TYPE_CHECKING:
    from cvis.data.track_masks import TrackMasks


def decode(
    codes: np.ndarray, offsets: np.ndarray, pixels: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Decode N compressed strings.

    Args:
        codes: uint8 [B], the strings end to end.
        offsets: int64 [N + 1], where each begins; an empty one stands for an absent mask.
        pixels: of a frame, below 2**32.

    Returns:
        Where the runs end (background first), uint32 [R]; where each string's runs begin therein, int64
        [N + 1]; the pixels of each mask, int64 [N]; and whether its runs fill the frame exactly, bool [N]. A
        string of which they do not has no runs and area 0.
    """
    num = len(offsets) - 1
    ends, starts = np.empty(len(codes), np.uint32), np.empty(num + 1, np.int64)
    areas, sound = np.empty(num, np.int64), np.empty(num, np.bool_)
    texts, places = np.ascontiguousarray(codes, np.uint8), np.ascontiguousarray(offsets, np.int64)
    made = _address(ends), _address(starts), _address(areas), _address(sound)
    _DECODE(_address(texts), _address(places), num, pixels, *made)
    return ends[: starts[num]].copy(), starts, areas, sound


def intersect(predicted: TrackMasks, annotated: TrackMasks, detections: np.ndarray, tracks: np.ndarray) -> np.ndarray:
    """Pixels per frame that two tracks share, for P pairs (``detections[p]``, ``tracks[p]``): int64 [P, T]."""
    shared = np.empty((len(detections), predicted.areas.shape[1]), np.int64)
    pairs = np.ascontiguousarray(detections, np.int64), np.ascontiguousarray(tracks, np.int64)
    runs = predicted.ends, predicted.starts, annotated.ends, annotated.starts
    _COMMON_PIXELS(*map(_address, runs), *map(_address, pairs), *shared.shape, _address(shared))
    return shared


def compressed(text: bytes) -> str:
    """JSON in which each list of runs under the key ``counts`` is the compressed string of these runs.

    Everything else stays, among it lists that are shorter, or hold anything but whole numbers of up to ten digits. So
    this is JSON if and only if ``text`` is: an unescaped quote before ``counts`` can only begin a key there.

    Raises:
        ValueError: ``text`` is not UTF-8.
    """
    found = (match.span() for match in _RUNS.finditer(text))
    lists = np.array([stop - 1 for start, stop in found if text[start - 1 : start] != b"\\"], np.int64)
    made, length = np.empty(len(text) + 16, np.uint8), np.empty(1, np.int64)
    source = np.frombuffer(text, np.uint8)  # Python keeps a zero behind the last byte
    _COMPRESS(_address(source), len(text), _address(lists), len(lists), _address(made), _address(length))
    return str(made[: length[0]].data, "utf-8")


def _address(array: np.ndarray) -> int:
    return array.ctypes.data


def _loaded() -> llvm.ExecutionEngine:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target, name = llvm.Target.from_default_triple(), llvm.get_host_cpu_name()
    features = llvm.get_host_cpu_features().flatten()
    machine = target.create_target_machine(cpu=name, features=features, opt=3, jit=True)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(_machine_code(machine, f"{target.name} {name} {features}")))
    engine.finalize_object()
    return engine


def _machine_code(machine: llvm.TargetMachine, processor: str) -> bytes:
    """The kept code, behind its checksum; made where there is none that is whole, and kept if that is possible."""
    source = Path(__file__).with_name("kernel_source.py").read_bytes()
    made_of = hashlib.sha256(f"{llvmlite.__version__} {processor} ".encode() + source).hexdigest()
    path = cache_dir() / "kernel" / f"{made_of}.o"
    try:
        checksum, code = (kept := path.read_bytes())[:32], kept[32:]
        if hashlib.sha256(code).digest() == checksum:
            return code
    except OSError:
        pass
    from cvis.data.kernel_source import machine_code

    code = machine_code(machine)
    try:
        with atomic_path(path) as temporary:
            temporary.write_bytes(hashlib.sha256(code).digest() + code)
    except UserError:  # no folder for it, or a full disk: then it is made again each time
        pass
    return code


_RUNS = re.compile(rb'"counts"[ \t\n\r]*:[ \t\n\r]*\[')
_ENGINE = _loaded()  # the code lives as long as this
_ARRAY, _NUMBER = ctypes.c_void_p, ctypes.c_int64
_DECODE = ctypes.CFUNCTYPE(None, _ARRAY, _ARRAY, _NUMBER, _NUMBER, _ARRAY, _ARRAY, _ARRAY, _ARRAY)(
    _ENGINE.get_function_address("cvis_decode")
)
_COMPRESS = ctypes.CFUNCTYPE(None, _ARRAY, _NUMBER, _ARRAY, _NUMBER, _ARRAY, _ARRAY)(
    _ENGINE.get_function_address("cvis_compress")
)
_COMMON_PIXELS = ctypes.CFUNCTYPE(None, *[_ARRAY] * 6, _NUMBER, _NUMBER, _ARRAY)(
    _ENGINE.get_function_address("cvis_common_pixels")
)
