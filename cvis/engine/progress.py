"""Progress of long work: a bar on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

logger = logging.getLogger("cvis")

Update = Callable[[str], None]
"""Call once per unit of work, with a short text such as the loss."""


@dataclass(frozen=True)
class Work:
    """A part of a run: what it is called, and how much of the run follows it.

    Attributes:
        more: units of the same kind in later parts; they will take as long as these.
        seconds: of all other parts that follow; None: not known yet.
    """

    name: str
    more: int = 0
    seconds: float | None = 0.0

    def left(self, here: float, pace: float) -> str:
        """What the whole run will still take, with ``here`` seconds left of this part, at ``pace`` seconds a unit."""
        if not self.more and self.seconds == 0.0:
            return ""
        at_least = "more than " if self.seconds is None else ""
        return f", whole run {at_least}{clock(here + self.more * pace + (self.seconds or 0.0))}"


@contextmanager
def progress(work: str | Work, total: int, done: int = 0, lines: int = 5) -> Iterator[Update]:
    """Show ``total`` units of work, of which ``done`` are done already.

    Args:
        work: what is being done, e.g. ``step 0 train``.
        lines: how many plain lines to write where there is no terminal.
    """
    work = Work(work) if isinstance(work, str) else work
    if sys.stderr.isatty():
        yield from _bar(work, total, done)
    else:
        yield from _plain(work, total, done, lines)


def _bar(work: Work, total: int, done: int) -> Iterator[Update]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    begun, count = time.monotonic(), done

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[text]}"),
    )
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(work.name, total=total, completed=done, text="")

        def update(text: str = "") -> None:
            nonlocal count
            count += 1
            pace = (time.monotonic() - begun) / (count - done)
            bar.update(task, advance=1, text=text + work.left(pace * (total - count), pace))

        yield update


def _plain(work: Work, total: int, done: int, lines: int) -> Iterator[Update]:
    begun, every = time.monotonic(), max(1, total // lines)
    count = done

    def update(text: str = "") -> None:
        nonlocal count
        count += 1
        if count % every == 0 or count == total:
            pace = (time.monotonic() - begun) / max(1, count - done)
            here = pace * (total - count)
            logger.info("%s %d/%d %s eta %s%s", work.name, count, total, text, clock(here), work.left(here, pace))

    yield update


def clock(seconds: float) -> str:
    """
    >>> clock(75), clock(3600)
    ('1:15', '1:00:00')
    """
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
