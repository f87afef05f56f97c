"""Progress of long work: a bar on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

logger = logging.getLogger("cvis")

Update = Callable[[str], None]
"""Call once per unit of work, with a short text such as the loss."""


@contextmanager
def progress(description: str, total: int, done: int = 0, lines: int = 5) -> Iterator[Update]:
    """Show ``total`` units of work, of which ``done`` are done already.

    Args:
        description: what is being done, e.g. ``step 0 train``.
        lines: how many plain lines to write where there is no terminal.
    """
    if sys.stderr.isatty():
        yield from _bar(description, total, done)
    else:
        yield from _plain(description, total, done, lines)


def _bar(description: str, total: int, done: int) -> Iterator[Update]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[text]}"),
    )
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=total, completed=done, text="")

        def update(text: str = "") -> None:
            bar.update(task, advance=1, text=text)

        yield update


def _plain(description: str, total: int, done: int, lines: int) -> Iterator[Update]:
    begun, every = time.monotonic(), max(1, total // lines)
    count = done

    def update(text: str = "") -> None:
        nonlocal count
        count += 1
        if count % every == 0 or count == total:
            left = (time.monotonic() - begun) / max(1, count - done) * (total - count)
            logger.info("%s %d/%d %s eta %s", description, count, total, text, _clock(left))

    yield update


def _clock(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
