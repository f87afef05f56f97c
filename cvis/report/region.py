"""The part of a page that a command writes, between two marks; people write the rest."""

from __future__ import annotations

from pathlib import Path

from cvis.errors import UserError

BEGIN, END = "<!-- generated: begin {} -->", "<!-- generated: end {} -->"


def with_region(path: Path, region: str, text: str) -> tuple[str, str]:
    """The text of a file as it is, and as it is with ``text`` between the marks of a region.

    Raises:
        UserError: the file cannot be read, or does not have each mark once, in order.
    """
    begin, end = BEGIN.format(region), END.format(region)
    try:
        old = path.read_bytes().decode("utf-8")  # line ends as they are
    except (OSError, UnicodeDecodeError) as error:
        remedy = f"give a Markdown file that has the lines {begin} and {end}"
        raise UserError(f"{path}: cannot be read: {error}; {remedy}") from error
    for mark in (begin, end):
        if (n := old.count(mark)) != 1:
            raise UserError(f"{path}: {mark}: stands there {n} times; it must stand once, on a line of its own")
    before, _, rest = old.partition(begin)
    if end not in rest:
        raise UserError(f"{path}: {end}: stands before its beginning; put it behind {begin}")
    new = f"{begin}\n{text}{end}"
    if "\r\n" in old:
        new = new.replace("\n", "\r\n")
    return old, before + new + rest.partition(end)[2]
