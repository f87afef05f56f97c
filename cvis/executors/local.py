"""Cells as processes of this machine, so many side by side."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from cvis.errors import UserError
from cvis.executors.cells import Cell
from cvis.executors.process import LOOK_S, ended, is_locked, last_lines, start, stop
from cvis.executors.profile import Profile

if TYPE_CHECKING:
    from cvis.executors import Tell

NEVER_BEGUN = -1
"""Exit code of a cell that waits for one that failed."""


def execute(cells: Sequence[Cell], profile: Profile, tell: Tell) -> Mapping[str, int]:
    """Run all cells; one that fails stops only those that wait for it.

    Each process has a share of the processors, and of the GPUs that are visible here those of its slot. A cell on which
    another process is at work, say of a sweep that was killed, is waited for. Interrupted, all cells save and stop.

    Raises:
        UserError: more GPUs are asked for than there are.
    """
    slots = _environments(profile)
    waiting, codes = list(cells), dict[str, int]()
    running: dict[int, tuple[Cell, subprocess.Popen[bytes]]] = {}  # slot -> what runs there
    try:
        while waiting or running:
            for slot, (cell, process) in list(running.items()):
                if (code := process.poll()) is not None:
                    del running[slot]
                    ended(cell, code)
                    codes[cell.name] = code
                    _report(cell, code, tell)
            free = [slot for slot in slots if slot not in running]
            for slot, cell in zip(free, _ready(waiting, running, codes, tell), strict=False):
                running[slot] = cell, start(cell, slots[slot])
                tell(f"{cell.name}: started, log {cell.log}")
            time.sleep(LOOK_S)
    except BaseException:
        for cell, process in running.values():
            stop(cell, process)
        raise
    return codes


def _ready(
    waiting: list[Cell], running: Mapping[int, tuple[Cell, object]], codes: dict[str, int], tell: Tell
) -> Iterator[Cell]:
    """Take from those that wait what can start now, as it is asked for, and on the way what need not or cannot."""
    unfinished = {cell.name for cell in waiting} | {cell.name for cell, _ in running.values()}
    for cell in list(waiting):
        if codes.get(cell.after, 0):
            waiting.remove(cell)
            codes[cell.name] = NEVER_BEGUN
            tell(f"{cell.name}: not begun: it needs {cell.after}")
        elif cell.after in unfinished:
            continue
        elif cell.is_done:
            waiting.remove(cell)
            codes[cell.name] = 0
        elif not is_locked(cell.folder):
            waiting.remove(cell)
            yield cell


def _report(cell: Cell, code: int, tell: Tell) -> None:
    said = "".join(last_lines(cell.log))
    why = f"killed by signal {-code}" if code < 0 else said or f"exit code {code}"
    tell(f"{cell.name}: done" if code == 0 else f"{cell.name}: failed: {why}")


def _environments(profile: Profile) -> dict[int, dict[str, str]]:
    """What each slot adds to the environment: its threads, and its GPUs."""
    threads = profile.cpus or max(1, (os.cpu_count() or 1) // profile.jobs)
    given = {} if "OMP_NUM_THREADS" in os.environ else {"OMP_NUM_THREADS": str(threads)}
    if not profile.gpus:
        return {slot: dict(given) for slot in range(profile.jobs)}
    visible = _gpus()
    if len(visible) < profile.jobs * profile.gpus:
        wanted = f"{profile.jobs} jobs of {profile.gpus}"
        raise UserError(f"--executor local: gpus: {len(visible)} are visible here, not {wanted}; lower --jobs")
    parts = [visible[i * profile.gpus : (i + 1) * profile.gpus] for i in range(profile.jobs)]
    return {slot: {**given, "CUDA_VISIBLE_DEVICES": ",".join(part)} for slot, part in enumerate(parts)}


def _gpus() -> list[str]:
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",") if visible else [str(i) for i in range(torch.cuda.device_count())]
