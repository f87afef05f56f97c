"""``python -m cvis.executors.child ARGUMENTS``: ``cvis ARGUMENTS``, which saves and stops when its parent is gone."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def follow_parent() -> None:
    """Have Linux send SIGTERM when the process that started this one ends, however it ends.

    A cell that went on without the executor would hold its run's lock while the next attempt wants it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() == 1:  # it was gone before
            os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    follow_parent()
    os.execv(sys.executable, [sys.executable, "-m", "cvis", *sys.argv[1:]])  # which keeps what was asked of Linux
