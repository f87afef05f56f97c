"""A table as one value: whatever is tabled becomes this, and every format, terminal and page shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

Order = Literal["ascending", "descending"]


@dataclass(frozen=True)
class Column:
    """A head. Numbers stand flush right; ``first`` is the order that the first click on a page gives: best first."""

    title: str
    meaning: str = ""  # for a pointer resting on it
    numeric: bool = True
    first: Order = "descending"


@dataclass(frozen=True)
class Cell:
    """One entry: what is printed, and how it stands out."""

    text: str
    key: float | str | None = None  # what it sorts by on a page: None is missing, and last in either direction
    rank: int = 0  # 1 the best of its column, 2 the second, 0 neither or not ranked
    aside: str = ""  # smaller, behind the text: a deviation, a note
    heat: float | None = None  # 0 to 1: how strong its colour is
    hint: str = ""  # for a pointer resting on it
    style: str = ""  # on a terminal, of rich: "red"

    @property
    def sort_key(self) -> str:
        return "" if self.key is None else repr(self.key) if isinstance(self.key, float) else str(self.key)


Cells = tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """Rows of cells, a cell per column; the first cell of a row is its head.

    Attributes:
        title: of this table within its section; empty where the section's says it all.
        short: the same without values, for narrow places.
        notes: what must be said right below it.
        kind: its class in HTML.
        id: its anchor on a page.
        bounds: so many of the last rows are upper bounds, never sorted in between the others.
    """

    columns: tuple[Column, ...]
    rows: tuple[Cells, ...]
    title: str = ""
    short: str = ""
    notes: tuple[str, ...] = ()
    kind: str = ""
    id: str = ""
    bounds: int = 0

    @property
    def lines(self) -> list[list[str]]:
        """Titles and rows as plain text."""
        return [[column.title for column in self.columns], *([cell.text for cell in row] for row in self.rows)]

    @property
    def bodies(self) -> list[tuple[str, tuple[Cells, ...]]]:
        """The rows that may be sorted among each other, with a title where they stand apart."""
        split = len(self.rows) - self.bounds
        parts = [("", self.rows[:split]), ("upper bounds", self.rows[split:])]
        return [(title, rows) for title, rows in parts if rows]


@dataclass(frozen=True)
class Section:
    """Tables under one title."""

    title: str
    tables: tuple[Table, ...]
    notes: tuple[str, ...] = ()  # for the end of the document


class Document(Protocol):
    """What a format renders: tables to be read, and the same numbers for programs."""

    legend: ClassVar[str]
    """How to read all of its tables; not for a terminal, which shows ranks by other means."""
    fields: ClassVar[tuple[str, ...]]
    """Of the records."""

    def sections(self) -> Sequence[Section]:
        """What is printed."""

    def records(self) -> Iterable[Mapping[str, Any]]:
        """One for each number or line of numbers, unrounded: what data frames like best."""

    def content(self) -> dict[str, Any]:
        """Everything, unrounded and nested, None where there is no number."""


def words(*titles: str) -> tuple[Column, ...]:
    """Columns of text."""
    return tuple(Column(title, numeric=False, first="ascending") for title in titles)


def numbers(*titles: str) -> tuple[Column, ...]:
    return tuple(map(Column, titles))


def texts(*values: str) -> Cells:
    return tuple(map(Cell, values))


def all_notes(sections: Iterable[Section]) -> list[str]:
    """The notes of all sections, each once."""
    return list(dict.fromkeys(note for section in sections for note in section.notes))
