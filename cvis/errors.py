"""The one exception for a user's mistake.

Everything a user can get wrong (a file, a field, a key, a name) ends in a :class:`UserError`. The command
line prints its text as one line and exits with code 2; nobody sees a traceback for a typing error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


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


def short(value: Any, limit: int = 60) -> str:
    """A value of the user's as one line that fits into a message."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}..."
