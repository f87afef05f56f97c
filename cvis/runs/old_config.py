"""The ``config.py`` of an older version's run, whose ``run.json`` does not hold all of it: read as data, never run."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from cvis.errors import UserError
from cvis.files import read_bounded

LARGEST = 1 << 20  # bytes


def read_literals(path: Path) -> dict[str, Any]:
    """What a file assigns to names: literals and ``dict(key=literal)``, tuples as lists; {} without the file.

    Raises:
        UserError: it cannot be read, or holds anything else, which would be code of whoever wrote it.
    """
    if not path.is_file():
        return {}
    remedy = "run the same `cvis run` again, which writes down what this version reads"
    try:
        return dict(_assigned(node) for node in ast.parse(read_bounded(path, LARGEST)).body)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; {remedy}") from error
    # The last two: nested too deeply.
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        where = f"line {error.args[0]}" if isinstance(error, _CodeError) else type(error).__name__
        raise UserError(f"{path}: {where}: is code, or nothing that can be read; it is not run; {remedy}") from error


class _CodeError(ValueError):
    """Its only argument is the line."""


def _assigned(node: ast.stmt) -> tuple[str, Any]:
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return name, _value(value)
    raise _CodeError(node.lineno)


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=pairs) if all(pair.arg for pair in pairs):
            return {pair.arg: _value(pair.value) for pair in pairs}
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_value(item) for item in items]
        case ast.Dict(keys=keys, values=values) if all(keys):
            return {ast.literal_eval(key): _value(value) for key, value in zip(keys, values, strict=True) if key}
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError) as error:
        raise _CodeError(node.lineno) from error
