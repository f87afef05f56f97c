"""SIGTERM and Ctrl-C: a run stops at the next border between two iterations or videos, and saves what it has."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch
from mmengine.dist import all_reduce, get_rank

from cvis.errors import Stopped

SIGNALS = (signal.SIGTERM, signal.SIGINT)
_received = 0  # the first of them; a process has one set of signals


@contextmanager
def deferred() -> Iterator[None]:
    """Within, the first signal waits until :func:`asked` is asked; a second one stops at once.

    Does nothing outside of the main thread, which alone may handle signals.

    Raises:
        Stopped: a signal came after the last border; what was within is done.
    """
    global _received
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _receive) for number in SIGNALS}
    try:
        yield
        if _received:
            raise Stopped(_received, "stopped after a finished run")
    finally:
        _received = 0
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def received() -> bool:
    """Whether this process was asked to stop."""
    return bool(_received)


def asked() -> int:
    """The signal that asked one of the processes to stop, 0 if none did: the same answer in all, which must all ask."""
    number = torch.tensor(_received)
    all_reduce(number, "max")  # nothing but a return where there is one process
    return int(number)


def _receive(number: int, _frame: FrameType | None) -> None:
    global _received
    if _received:
        raise Stopped(number, "stopped at once, without saving: the last checkpoint counts")
    _received = number
    if get_rank() == 0:  # logging and print could be at work right now, and take no second call
        os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, b"cvis: stopping, and saving; again: stop at once\n")
