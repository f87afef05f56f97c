"""A JSON array of any size, read value by value in the memory of a few of them.

No scanner walks the bytes. A cut is guessed: the last place in the buffer where a value that begins like the
first one follows a comma. The parser then proves it: ``[`` + text up to the cut + ``]`` is JSON if and only if
the cut lies between two values of the array, because inside a string, an object or an inner array it would leave
something open. Where the guess fails, brackets and strings are counted instead.

What is read comes from strangers, and a few megabytes of gzip unpack to gigabytes: so the text of one value, with the
blanks around it, has a limit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import orjson

CHUNK = 1 << 18
"""Bytes read at once: what fits a processor's cache. Two of these are held at a time, or one value if larger."""
LONGEST = 1 << 25
"""Bytes of one value, with the blanks around it: 32 MiB, some ten thousand frames of a mask of 3 kB."""
DEEPEST = 1000
"""Brackets within brackets: no parser reads more, and counting them would take half a minute to find that out."""

_BOM = b"\xef\xbb\xbf"
_FIRST_KEY = re.compile(rb'\s*\{\s*("[^"\\]*"\s*):')
_BETWEEN = re.compile(rb"\}\s*(,)\s*\{\s*\Z")
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|["{}\[\]]', re.DOTALL)
_COMMA = re.compile(rb"\s*,(?=\s*[^\s\]])")
_KINDS = {b"{": "dict", b'"': "str", b"t": "bool", b"f": "bool", b"n": "null"}
_GUESSES = 4


class NotAnArrayError(ValueError):
    """The value is none; ``str()`` says what it is."""


class TooLongError(ValueError):
    """More than :data:`LONGEST` bytes without the end of a value; ``str()`` says which one."""

    def __init__(self, done: int) -> None:
        super().__init__(f"entry {done}: more than {LONGEST / 2**20:g} MiB with the blanks around it")


def array_batches(read: Callable[[int], bytes]) -> Iterator[list[Any]]:
    """The values of a JSON array in order, some at a time.

    Args:
        read: returns the next bytes, at most as many as asked for; none at the end.

    Raises:
        NotAnArrayError: the text is of another type.
        TooLongError: a value, or a stretch of blanks, is longer than any that is meant.
        ValueError: it is not JSON, or ends too early; says after which value.

    >>> import io
    >>> list(array_batches(io.BytesIO(b'[{"id": 1}, {"id": 2}]').read))
    [[{'id': 1}, {'id': 2}]]
    """
    buffer = _opened(read)
    key: bytes | None = None
    done, size = 0, CHUNK
    while chunk := read(size):
        buffer += chunk
        if key is None and (first := _FIRST_KEY.match(buffer)):
            key = first[1]
        values, buffer = _complete(buffer, key, done)
        size = CHUNK if values else 2 * size  # doubled: the work stays linear for a value of any length
        done += len(values)
        if len(buffer) > LONGEST:
            raise TooLongError(done)
        if values:
            yield values
    if values := _last(buffer, done):
        yield values


def _opened(read: Callable[[int], bytes]) -> bytes:
    """What follows the opening bracket in the first piece that holds it."""
    text = read(CHUNK).removeprefix(_BOM)
    blank = 0
    while not text.strip() and (more := read(CHUNK)):
        blank += len(text)
        if blank > LONGEST:
            raise TooLongError(0)
        text = more
    text = text.lstrip()
    kind = "number" if text[:1] in b"-0123456789" and text else _KINDS.get(text[:1])
    if kind is not None:
        raise NotAnArrayError(kind)
    if text[:1] != b"[":
        raise ValueError("it does not begin with a list")
    return text[1:]


def _complete(buffer: bytes, key: bytes | None, done: int) -> tuple[list[Any], bytes]:
    """The values that are complete in the buffer, and the text after them."""
    guess = _guess(buffer, key) if key else None
    if guess is not None:
        try:
            return orjson.loads(b"[%b]" % buffer[:guess]), buffer[guess + 1 :]
        except ValueError:  # a wrong guess, damage, or a number that only the standard library reads
            pass
    return _one_by_one(buffer, _commas(buffer), done)


def _last(buffer: bytes, done: int) -> list[Any]:
    try:
        return orjson.loads(b"[%b" % buffer)
    except ValueError:
        values, rest = _one_by_one(buffer, _commas(buffer), done)
        return values + _parse(b"[%b" % rest, done + len(values))


def _guess(buffer: bytes, key: bytes) -> int | None:
    """The comma before the last object that begins with ``key``."""
    stop = len(buffer)
    for _ in range(_GUESSES):
        stop = buffer.rfind(key, 0, stop)
        if stop < 0:
            return None
        start = max(0, stop - 64)
        if between := _BETWEEN.search(buffer[start:stop]):
            return start + between.start(1)
    return None


def _commas(buffer: bytes) -> Iterator[int]:
    """Each comma that separates two values of the array, the first of which ends in a bracket."""
    depth = 0
    for token in _TOKEN.finditer(buffer):
        mark = token[0]
        if mark == b'"':  # of a string that ends beyond the buffer
            return
        if mark in (b"{", b"["):
            depth += 1
            if depth > DEEPEST:
                raise ValueError(f"brackets are nested more than {DEEPEST} deep")
        elif mark in (b"}", b"]"):
            depth -= 1
            if depth < 0:
                return
            if depth == 0 and (comma := _COMMA.match(buffer, token.end())):
                yield comma.end() - 1


def _one_by_one(buffer: bytes, commas: Iterator[int], done: int) -> tuple[list[Any], bytes]:
    values: list[Any] = []
    start = 0
    for comma in commas:
        values += _parse(b"[%b]" % buffer[start:comma], done + len(values))
        start = comma + 1
    return values, buffer[start:]


def _parse(text: bytes, done: int) -> list[Any]:
    """A short array; NaN, Infinity and endless numbers too, which the standard library reads and orjson does not."""
    try:
        return orjson.loads(text)
    except ValueError:
        pass
    try:
        values = json.loads(text)
        json.dumps(values, ensure_ascii=False).encode()  # half a surrogate pair is no text
        return values
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} in or after entry {done}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__} in or after entry {done}") from None
