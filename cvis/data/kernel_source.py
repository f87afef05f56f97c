"""Run-length code in loops, which numba turns into machine code once: :mod:`cvis.data.kernel` runs it.

Only that module imports this one, and only where no machine code is kept: loading numba takes longer than scoring a few
hundred videos. The functions take pointers and cannot raise, so their code needs neither numba nor Python when it runs.

Nothing here trusts a string: every code is checked before it is used, and a damaged string yields no runs.
"""

from __future__ import annotations

from collections.abc import Callable

import llvmlite.binding as llvm
import numba
from numba import int64, types

_FIRST = 48  # a compressed string writes six bits per character, from chr(48) on
_MORE, _SIGN, _VALUE, _BITS = 0x20, 0x10, 0x1F, 5
_LONGEST = 7 * _BITS  # bits in one number; more than any frame needs
_QUOTE, _COMMA, _BACKSLASH, _CLOSES = b'",\\]'
_ROOM = 2 * 7  # for one number, were all of it backslashes


@numba.njit(inline="always")
def _decode_one(codes, begin, stop, pixels, ends, first):
    """Write the run ends of ``codes[begin:stop]`` from ``ends[first]`` on.

    Returns:
        How many there are, and the area; (-1, 0) if the runs do not fill ``pixels`` exactly.
    """
    wrong = int64(0)  # negative if there is another character
    for p in range(begin, stop):
        code = int64(codes[p]) - _FIRST
        wrong |= code | (63 - code)
    if wrong < 0 or (int64(codes[stop - 1]) - _FIRST) & _MORE:
        return -1, 0
    count, total, area, last, before = int64(0), int64(0), int64(0), int64(0), int64(0)
    p = begin
    while p < stop:
        code = int64(codes[p]) - _FIRST
        p += 1
        run, shift = code & _VALUE, int64(0)
        while code & _MORE and shift < _LONGEST:
            code = int64(codes[p]) - _FIRST
            p += 1
            shift += _BITS
            run |= (code & _VALUE) << shift
        run -= (code & _SIGN) << (shift + 1)
        if count > 2:  # from the fourth on, a run is written as its difference to the one before last
            run += before
        total += run
        wrong |= run | (pixels - total) | (_LONGEST - _BITS - shift)
        area += run & -(count & 1)
        ends[first + count] = total
        count += 1
        before, last = last, run
    return (count, area) if wrong >= 0 and total == pixels else (-1, 0)


def decode(codes, offsets, num, pixels, ends, starts, areas, sound):
    """See :func:`cvis.data.kernel.decode`; ``ends`` has room for a run of each code."""
    starts[0] = 0
    for n in range(num):
        starts[n + 1] = starts[n]
        areas[n] = 0
        sound[n] = 1
        if offsets[n] < offsets[n + 1]:
            count, areas[n] = _decode_one(codes, offsets[n], offsets[n + 1], pixels, ends, starts[n])
            sound[n] = count >= 0
            starts[n + 1] += max(count, 0)


@numba.njit(inline="always")
def _common(one, i, i_stop, other, j, j_stop):
    """Pixels in both masks; their runs are ``one[i:i_stop]`` and ``other[j:j_stop]``."""
    i_last, j_last = i_stop - 1 - ((i_stop - i) & 1), j_stop - 1 - ((j_stop - j) & 1)  # of foreground
    if i_last <= i or j_last <= j or one[i_last] <= other[j] or other[j_last] <= one[i]:
        return 0
    pixels = int64(0)
    i += 1
    j += 1
    while i < i_stop and j < j_stop:
        i_end, j_end = int64(one[i]), int64(other[j])
        low, high = max(int64(one[i - 1]), int64(other[j - 1])), min(i_end, j_end)
        pixels += max(high - low, 0)
        if i_end < j_end:
            i += 2
        else:
            j += 2
    return pixels


def common_pixels(ends, starts, gt_ends, gt_starts, detections, tracks, num_pairs, num_frames, shared):
    """See :func:`cvis.data.kernel.intersect`."""
    for p in range(num_pairs):
        for t in range(num_frames):
            d, g = detections[p] * num_frames + t, tracks[p] * num_frames + t
            shared[p * num_frames + t] = _common(
                ends, starts[d], starts[d + 1], gt_ends, gt_starts[g], gt_starts[g + 1]
            )


@numba.njit(inline="always")
def _after_blanks(text, p):
    while text[p] == 32 or 9 <= text[p] <= 10 or text[p] == 13:
        p += 1
    return p


@numba.njit(inline="always")
def _write_number(rest, codes, at):
    """Write a number in groups of five bits, lowest first; gives the place behind it."""
    more = True
    while more:
        code = rest & _VALUE
        rest >>= _BITS
        more = rest != -1 if code & _SIGN else rest != 0
        code = _FIRST + (code | _MORE if more else code)
        if code == _BACKSLASH:  # JSON writes two of it
            codes[at] = code
            at += 1
        codes[at] = code
        at += 1
    return at


@numba.njit(inline="always")
def _compress_one(text, p, codes, at, room):
    """Write the runs in the list that begins at ``text[p]`` into ``codes[at:room]``.

    Returns:
        The places behind the list and behind its codes; (-1, any) if it holds anything but runs, or there is no room.
    """
    count, last, before = int64(0), int64(0), int64(0)
    while at + _ROOM <= room:
        p = _after_blanks(text, p)
        digits, run = p, int64(0)
        while 48 <= text[p] <= 57 and p - digits < 10:
            run = 10 * run + int64(text[p]) - 48
            p += 1
        if p == digits or (text[digits] == 48 and p > digits + 1):
            break
        at = _write_number(run - before if count > 2 else run, codes, at)
        count += 1
        before, last = last, run
        p = _after_blanks(text, p) + 1
        if text[p - 1] == _CLOSES:
            return p, at
        if text[p - 1] != _COMMA:
            break
    return int64(-1), at


def compress(text, length, lists, num, made, made_length):
    """See :func:`cvis.data.kernel.compressed`.

    Args:
        text: [length], with a zero behind its end.
        lists: [num], places of the brackets that open a list of runs, ascending.
        made: [length + _ROOM], for the new text: a string that would be longer than its list is not made.
        made_length: [1], how much of it there is.
    """
    at, done = int64(0), int64(0)
    for n in range(num):
        for p in range(done, lists[n]):
            made[at + p - done] = text[p]
        at += lists[n] - done
        done = lists[n]
        stop, behind = _compress_one(text, done + 1, made, at + 1, length + _ROOM)
        if 0 <= behind < stop:
            made[at] = made[behind] = _QUOTE
            at, done = behind + 1, stop
    for p in range(done, length):
        made[at + p - done] = text[p]
    made_length[0] = at + length - done


_BYTES, _WORDS, _LONGS = (types.CPointer(kind) for kind in (types.uint8, types.uint32, types.int64))
_TAKES: dict[Callable[..., None], tuple[types.Type, ...]] = {
    decode: (_BYTES, _LONGS, int64, int64, _WORDS, _LONGS, _LONGS, _BYTES),
    compress: (_BYTES, int64, _LONGS, int64, _BYTES, _LONGS),
    common_pixels: (_WORDS, _LONGS, _WORDS, _LONGS, _LONGS, _LONGS, int64, int64, _LONGS),
}


def machine_code(machine: llvm.TargetMachine) -> bytes:
    """An object file with the three functions, as ``cvis_decode`` and so on.

    Raises:
        ImportError: this numba makes code that would call Python, which nothing would resolve.
    """
    whole = llvm.parse_assembly("")
    for function, takes in _TAKES.items():
        compiled = numba.cfunc(types.void(*takes))(function)
        module = llvm.parse_assembly(compiled.inspect_llvm())
        for own in module.functions:
            if not own.is_declaration and own.name != compiled.native_name:
                own.linkage = llvm.Linkage.internal  # so that the passes see that they never fail
        module.get_function(compiled.native_name).name = f"cvis_{function.__name__}"
        whole.link_in(module)
    passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3))
    passes.getModulePassManager().run(whole, passes)
    if needed := [f.name for f in whole.functions if f.is_declaration and not f.name.startswith("llvm.")]:
        raise ImportError(f"numba {numba.__version__} compiles the kernel with calls of {needed[0]}")
    return machine.emit_object(whole)
