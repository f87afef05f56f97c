"""A cell as a process, wherever it runs: started, stopped, and what its log says at the end."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from cvis.executors.cells import Cell
from cvis.runs.paths import RunFolder

LOOK_S = 0.2
ENDED = "[ended with exit code {}]"
LAST = re.compile(rb"\[ended with exit code (-?\d+)\]\s*\Z")


def start(cell: Cell, environment: Mapping[str, str] = {}) -> subprocess.Popen[bytes]:
    """Start a cell; what it prints is added to its log.

    Args:
        environment: over that of this process.
    """
    cell.log.parent.mkdir(parents=True, exist_ok=True)
    with cell.log.open("ab") as file:
        return subprocess.Popen(
            [*cell.program, *cell.words],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            cwd=cell.place,
            env={**os.environ, **environment},
            start_new_session=True,  # Ctrl-C is the executor's to pass on
        )


def ended(cell: Cell, code: int) -> None:
    """Write down how a cell ended, for whoever looks at the folder."""
    with cell.log.open("a") as file:
        file.write(ENDED.format(code) + "\n")


def wait_until_free(cell: Cell, patience_s: float = 120) -> None:
    """For an attempt after one whose executor was lost: the cell of that one may still be saving."""
    late = time.monotonic() + patience_s
    while is_locked(cell.folder) and time.monotonic() < late:
        time.sleep(LOOK_S)


def run_to_its_end(cell: Cell, environment: Mapping[str, str] = {}) -> int:
    """Run a cell; its exit code. If this process is interrupted, the cell saves and stops first."""
    wait_until_free(cell)
    process = start(cell, environment)
    try:
        wait(process)
    except BaseException:
        stop(cell, process)
        raise
    ended(cell, process.returncode)
    return process.returncode


def wait(process: subprocess.Popen[bytes]) -> None:
    """Until it ends. ``Popen.wait`` would hold its lock meanwhile, and a signal's handler that stops it would hang."""
    while process.poll() is None:
        time.sleep(LOOK_S)


def stop(cell: Cell, process: subprocess.Popen[bytes], patience_s: float = 60) -> None:
    """Let it save what it has; one that does not is killed, and goes on from its last checkpoint another time."""
    process.send_signal(signal.SIGTERM)
    late = time.monotonic() + patience_s
    while process.poll() is None and time.monotonic() < late:
        time.sleep(LOOK_S)
    if process.poll() is None:
        process.kill()
    ended(cell, -signal.SIGKILL if process.returncode is None else process.returncode)


def last_lines(log: Path, count: int = 1) -> list[str]:
    """The last lines of a log that say something, without what says how it ended."""
    return [line for line in _tail(log).decode(errors="replace").splitlines() if line.strip()][-count:]


def exit_code(log: Path) -> int | None:
    """How the last attempt of a cell ended; None if it has not, or nothing was begun."""
    found = LAST.search(_tail(log, strip=False))
    return int(found[1]) if found else None


def is_locked(folder: Path) -> bool:
    """Whether a process is at work on the run in a folder, as far as this machine's locks tell."""
    lock = RunFolder(folder).lock
    try:
        with lock.open("rb") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _tail(log: Path, strip: bool = True, size: int = 4096) -> bytes:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - size))
            text = file.read()
    except FileNotFoundError:
        return b""
    return LAST.sub(b"", text) if strip else text
