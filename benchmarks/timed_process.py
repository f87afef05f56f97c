"""A command of Python as a process of its own, and what it took.

Who starts such processes must stay small, and so import no torch: Linux counts the memory of the parent in their peak.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile


class Failed(SystemExit):
    """It did not end well; says the last line that it printed."""


@dataclass(frozen=True)
class Done:
    """What a process printed and took: seconds by the clock and of a processor, and its peak of resident memory."""

    output: str
    wall: float
    processor: float
    peak_mb: float

    @property
    def last_line(self) -> str:
        return last_line(self.output)


def python(words: Sequence[object], folder: Path | str | None = None, **environment: str) -> Done:
    """Run this interpreter with these words, one thread, in ``folder``, to its end.

    Raises:
        Failed: its exit code is not 0.
    """
    env = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    with TemporaryFile("w+") as out, TemporaryFile("w+") as err:
        begun = time.monotonic()
        process = subprocess.Popen([sys.executable, *map(str, words)], cwd=folder, env=env, stdout=out, stderr=err)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        output = out.read()
        if process.returncode:
            raise Failed(last_line(err.read()) or last_line(output) or f"exit code {process.returncode}")
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return Done(output, wall, used.ru_utime + used.ru_stime, used.ru_maxrss / unit)


def last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]
