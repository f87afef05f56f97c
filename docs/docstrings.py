"""Docstrings as Markdown: paragraphs and lists stay, equations and examples become blocks, roles become code."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

SECTION = re.compile(r"^([A-Z][a-z]+):$")
ROLE = re.compile(r":(?:py:)?(?:class|func|meth|mod|attr):`([^`]+)`")
OBJECT = re.compile(r":(?:class|func):`~?([^`]+)`")
CODE = re.compile(r"`[^`]*`")


def sections(doc: str) -> dict[str, str]:
    """A docstring by its sections, ``Args``, ``Raises`` and the like; "" is the text outside them.

    >>> sections("What.\\n\\nArgs:\\n    a: x.\\n\\nMore.")
    {'': 'What.\\n\\nMore.', 'Args': 'a: x.'}
    """
    found: dict[str, list[str]] = {"": []}
    name = ""
    for line in doc.splitlines():
        if header := SECTION.match(line):
            name = header[1]
            found[name] = []
            continue
        if name and line and not line.startswith(" "):
            name = ""
        found[name].append(line)
    return {name: inspect.cleandoc("\n" + "\n".join(lines)) for name, lines in found.items()}


def arguments(section: str) -> dict[str, str]:
    """``Args`` by name; a description that holds for several names is each one's.

    >>> arguments("a, b: first\\n    line.\\nc: other.")
    {'a': 'first line.', 'b': 'first line.', 'c': 'other.'}
    """
    described: dict[str, str] = {}
    for entry in re.split(r"\n(?=\S)", section.strip()):
        names, _, text = entry.partition(":")
        described |= dict.fromkeys(names.split(", "), " ".join(text.split()))
    return described


def markdown(doc: str) -> str:
    """The text of a docstring, without sections."""
    return "\n\n".join(_block(block) for block in _blocks(doc))


def inline(text: str) -> str:
    """A paragraph: roles and literals become code, and nothing else means anything to Markdown."""
    text = ROLE.sub(lambda role: f"`{role[1].rpartition('.')[2] if role[1][0] == '~' else role[1]}`", text)
    text = text.replace("``", "`")
    parts = re.split(f"({CODE.pattern})", text)
    parts[::2] = [re.sub(r"([*$<\\]|(?<!\w)_|_(?!\w))", r"\\\1", part) for part in parts[::2]]
    return "".join(parts)


def cell(text: str) -> str:
    """For a table."""
    return " ".join(text.split()).replace("|", "\\|")


def mentioned(doc: str, home: str) -> Iterator[tuple[str, Any]]:
    """Functions and classes that a docstring refers to, by their names.

    Args:
        home: the module in which it stands; a bare name that this has not is a word and nothing more.

    Raises:
        AttributeError: a path that leads nowhere.
    """
    for path in dict.fromkeys(OBJECT.findall(doc)):
        module, _, name = path.rpartition(".")
        if module or hasattr(import_module(home), name):
            yield name, getattr(import_module(module or home), name)


def _blocks(doc: str) -> Iterator[str]:
    """Paragraphs; neighbours that are indented, as equations are, stay together."""
    block: list[str] = []
    for part in re.split(r"\n\s*\n", doc.strip("\n")):
        if block and (not part.startswith("    ") or not block[-1].startswith("    ")):
            yield "\n\n".join(block)
            block = []
        block.append(part)
    if block:
        yield "\n\n".join(block)


def _block(block: str) -> str:
    if block.startswith(">>>"):
        return f"```python\n{block}\n```"
    if block.startswith("    "):
        return f"```text\n{inspect.cleandoc(chr(10) + block)}\n```"
    if block.startswith(".. code-block::"):
        return ""
    return inline(block)
