"""Values checked against a pydantic model; what does not fit is one line in our own voice."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from cvis.errors import UserError, did_you_mean, near

__all__ = ["did_you_mean", "explain", "validate"]
Model = TypeVar("Model", bound=BaseModel)


def validate(model: type[Model], values: Mapping[str, Any], where: str = "") -> Model:
    """The values as a ``model``.

    Args:
        where: they come from, say a file.

    Raises:
        UserError: names the first field that does not fit, its value and what is possible.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise UserError(f"{where}: {explain(error, model)}" if where else explain(error, model)) from error


def explain(error: ValidationError, kind: Any, name: str = "") -> str:
    """The first of pydantic's findings as ``field: value: what is wrong; remedy``.

    Args:
        kind: the model, or any other type, that the value should have been.
        name: of the value, if it is not a model whose fields are named.
    """
    first = error.errors()[0]
    value, said = first["input"], first["msg"]
    path, model, fits = _walk(kind, first["loc"])
    field = ".".join([name, *path] if name else path)
    if first["type"] == "missing":
        return f"{field}: missing; add it"
    field = f"{field}: {value!r:.60}"
    fields = model.model_fields if model else {}
    if first["type"] == "extra_forbidden":
        return f"{field}: no such key; {did_you_mean(path[-1], fields)}"
    if first["type"] == "literal_error":
        expected = first["ctx"]["expected"]  # 'a', 'b' or 'c'
        close = near(value, re.findall(r"'([^']+)'", expected))
        return f"{field}: not possible; {f'did you mean {close!r}?' if close else f'choose {expected}'}"
    if _is_model(fits):
        return f"{field}: not possible; it is a group of keys: {', '.join(fits.model_fields)}"
    if path and path[-1] in fields and (remedy := fields[path[-1]].description):
        return f"{field}: not possible; {remedy}"
    return f"{field}: not possible; {said[0].lower()}{said[1:]}".replace("; input should", "; it should")


def _walk(kind: Any, loc: tuple[int | str, ...]) -> tuple[list[str], type[BaseModel] | None, Any]:
    """The fields on the way to a mistake, the last model on it, and the type of what should stand at its end.

    In ``loc`` pydantic also names the member of a union that it tried; nobody wrote that, so it is left out.
    """
    path: list[str] = []
    model = None
    for part in loc:
        if _is_model(kind):
            model = kind
            field = kind.model_fields.get(str(part))
            kind = _given(field.annotation) if field else None
        elif isinstance(part, int) or get_origin(kind) is dict:
            kind = get_args(kind)[-1] if get_args(kind) else None
        else:
            continue
        path.append(str(part))
    return path, model, kind


def _given(kind: Any) -> Any:
    """A model that may be left out is what its keys are of."""
    models = [each for each in get_args(kind) if _is_model(each)]
    return models[0] if models and set(get_args(kind)) == {models[0], type(None)} else kind


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
