"""Values checked against a pydantic model; what does not fit is one line in our own voice."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from cvis.errors import UserError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Model = TypeVar("Model", bound=BaseModel)


def validate(model: type[Model], values: Mapping[str, Any], where: str = "") -> Model:
    """The values as a ``model``.

    Args:
        where: they come from, say a file.

    Raises:
        UserError: names the first field that does not fit, its value and what is possible.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        line = _explain(error.errors()[0], model)
        raise UserError(f"{where}: {line}" if where else line) from error


def did_you_mean(name: str, known: Collection[str]) -> str:
    """A remedy for a name that is none of the known ones.

    >>> did_you_mean("schedul", ["schedule", "runtime"]), did_you_mean("x", ["schedule", "runtime"])
    ("did you mean 'schedule'?", 'choose one of schedule, runtime')
    """
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"choose one of {', '.join(known)}" if known else "there is none"


def _explain(mistake: ErrorDetails, model: type[BaseModel]) -> str:
    """One of pydantic's errors as ``field: value: what is wrong; remedy``."""
    kind, value, said = mistake["type"], mistake["input"], mistake["msg"]
    path, parent, fits = _walk(model, mistake["loc"])
    field = f"{'.'.join(path)}: "
    if kind == "missing":
        return f"{field}missing; add it"
    field += f"{value!r:.60}: "
    if kind == "extra_forbidden":
        return f"{field}no such key; {did_you_mean(path[-1], parent.model_fields)}"
    if kind == "literal_error":
        expected = mistake["ctx"]["expected"]  # 'a', 'b' or 'c'
        close = difflib.get_close_matches(str(value), re.findall(r"'([^']+)'", expected), n=1)
        return f"{field}not possible; {f'did you mean {close[0]!r}?' if close else f'choose {expected}'}"
    if _is_model(fits):
        return f"{field}not possible; it is a group of keys: {', '.join(fits.model_fields)}"
    if remedy := parent.model_fields[path[-1]].description if path[-1] in parent.model_fields else None:
        return f"{field}not possible; {remedy}"
    return f"{field}not possible; {said[0].lower()}{said[1:]}".replace("; input should", "; it should")


def _walk(model: type[BaseModel], loc: tuple[int | str, ...]) -> tuple[list[str], type[BaseModel], Any]:
    """The fields on the way to a mistake, the last model on it, and the type of what should stand at its end.

    In ``loc`` pydantic also names the member of a union that it tried; nobody wrote that, so it is left out.
    """
    path: list[str] = []
    here: Any = model
    for part in loc:
        if _is_model(here):
            model = here
            field = model.model_fields.get(str(part))
            here = field.annotation if field else None
        elif isinstance(part, int) or get_origin(here) is dict:
            here = get_args(here)[-1] if get_args(here) else None
        else:
            continue
        path.append(str(part))
    return path, model, here


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
