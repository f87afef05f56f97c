"""The one exception for a user's mistake.

Everything a user can get wrong (a file, a field, a key, a name) ends in a :class:`UserError`. The command
line prints its text as one line and exits with code 2; nobody sees a traceback for a typing error.
"""

from __future__ import annotations

import difflib
import os
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

REORDERING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}  # bidirectional classes of Unicode
LONGEST_NAME = 1000  # characters
MOST_NEIGHBOURS = 10_000  # of a path that does not exist, among which the one that was meant is looked for


class UserError(Exception):
    """One line that names the file or key, the field, the offending value and the remedy."""


class Stopped(KeyboardInterrupt):
    """A signal asked a run to stop, and it has, where nothing is lost; the text says where.

    Attributes:
        signum: SIGTERM or SIGINT; the command line exits with 128 more, as shells report it.
    """

    def __init__(self, signum: int, where: str) -> None:
        super().__init__(where)
        self.signum = signum


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a file: where it is, what was found there, why that is wrong, and what to do about it."""

    file: str
    field: str  # "annotations[17].segmentations[3].size"; "" when the whole file is meant
    value: str
    what: str
    remedy: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        where = ": ".join(part for part in (self.file, self.field, self.value) if part)
        return f"{where}: {self.what}; {self.remedy}"

    def error(self) -> UserError:
        """The exception to raise; its only argument is this problem, so that a caller can list it."""
        return UserError(self)


def near(name: object, known: Collection[str]) -> str | None:
    """The one of the known names that was probably meant, whatever its case; None if none is like it."""
    by_case = {other.lower(): other for other in known}
    close = difflib.get_close_matches(str(name)[:100].lower(), by_case, n=1)
    return by_case[close[0]] if close else None


def did_you_mean(name: object, known: Collection[str]) -> str:
    """A remedy for a name that is none of the known ones.

    >>> did_you_mean("schedul", ["schedule", "runtime"]), did_you_mean("x", ["schedule", "runtime"])
    ("did you mean 'schedule'?", 'choose one of schedule, runtime')
    >>> did_you_mean("mpa", ["mAP", "FR"])
    "did you mean 'mAP'?"
    """
    close = near(name, known)
    return f"did you mean {close!r}?" if close else f"choose one of {', '.join(known)}" if known else "there is none"


def did_you_mean_path(path: Path, otherwise: str) -> str:
    """A remedy for a path that does not exist: the neighbour that its first wrong part is like, or ``otherwise``."""
    wrong = next((part for part in (*reversed(path.parents), path) if not part.exists()), path)
    try:
        close = near(wrong.name, list(islice(os.listdir(wrong.parent), MOST_NEIGHBOURS)))
    except OSError:
        close = None
    return f"did you mean {str(wrong.parent / close / path.relative_to(wrong))!r}?" if close else otherwise


def short(value: Any, limit: int = 60) -> str:
    """A value of the user's as one line that fits into a message."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}..."


def wrong_name(name: str) -> str:
    """Why a name cannot be printed on one line; empty if it can.

    Names come from files and reach terminals: none may be invisible, move the cursor, or turn the text around it.
    """
    if len(name) > LONGEST_NAME:
        return f"is longer than {LONGEST_NAME} characters"
    if name.isascii() and name.isprintable() and not name.isspace():  # nearly all; the rest takes time
        return "" if name else "is empty"
    if any(unicodedata.category(c) in ("Cc", "Cs") or unicodedata.bidirectional(c) in REORDERING for c in name):
        return "holds control characters"
    return "" if name.strip() else "is empty"


def printable(message: str, limit: int = 2000) -> str:
    r"""A message on one line, however long and whatever the values in it.

    >>> printable("a.json:\n name: \x1b[2J")
    'a.json: name: \\x1b[2J'
    """
    words = " ".join(message.split())
    return escaped(words if len(words) <= limit else f"{words[: limit - 200]} [...] {words[-200:]}")


def escaped(text: str) -> str:
    """A text of a stranger's that can do nothing to a terminal: what is not printable as Python spells it."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
