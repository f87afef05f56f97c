"""One thing that is wrong with a data set: what the checker lists, and what the reader raises first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from cvis.errors import UserError


@dataclass(frozen=True, slots=True)
class Problem:
    """Where it is, what was found there, why that is wrong, and what to do about it."""

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
