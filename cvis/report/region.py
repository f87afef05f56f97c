"""The generated part of a file that people write otherwise: from one marker line to the other."""

from __future__ import annotations

from pathlib import Path

from cvis.errors import UserError


def markers(name: str) -> tuple[str, str]:
    """The two lines between which the generated text stands.

    >>> markers("cells")
    ('<!-- generated: begin cells -->', '<!-- generated: end cells -->')
    """
    return f"<!-- generated: begin {name} -->", f"<!-- generated: end {name} -->"


def with_region(path: Path, name: str, content: str) -> tuple[str, str]:
    """The text of a file as it is, and as it is with ``content`` between its markers.

    Raises:
        UserError: the file cannot be read, or does not have each marker once, in order.
    """
    try:
        old = path.read_bytes().decode("utf-8")  # line ends as they are
    except FileNotFoundError as error:
        raise UserError(
            f"{path}: does not exist; give a file that has the lines {' and '.join(markers(name))}"
        ) from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; check its permissions") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8 text: {error}; give a Markdown file") from error
    begin, end = markers(name)
    for marker in (begin, end):
        if (n := old.count(marker)) != 1:
            raise UserError(f"{path}: {marker}: stands there {n} times; it must stand once, on a line of its own")
    before, _, rest = old.partition(begin)
    if end not in rest:
        raise UserError(f"{path}: {end}: stands before its beginning; put it behind {begin}")
    after = rest.partition(end)[2]
    if "\r\n" in old:
        content = content.replace("\n", "\r\n")
    line = "\r\n" if "\r\n" in old else "\n"
    return old, f"{before}{begin}{line}{content}{end}{after}"
