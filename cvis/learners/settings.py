"""A learner's settings are the arguments of its constructor: read there, and checked by their annotations, once."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, get_type_hints

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from cvis.errors import UserError
from cvis.validation import did_you_mean, explain

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""Of a loss, or a factor."""
Count = Annotated[int, Field(ge=1)]
Real = Annotated[float, Field(allow_inf_nan=False)]

NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def parameters_of(learner: type) -> dict[str, inspect.Parameter]:
    """Settings by name: the arguments of the constructor after ``segmenter``, each with its annotation evaluated.

    A constructor that takes ``**settings`` hands them on to the next class, whose arguments come first.
    """
    return _parameters_of(learner)


@cache
def _parameters_of(learner: type) -> dict[str, inspect.Parameter]:
    chain: list[dict[str, inspect.Parameter]] = []
    for kind in learner.__mro__:
        if "__init__" not in vars(kind):
            continue
        arguments = list(inspect.signature(vars(kind)["__init__"]).parameters.values())[1:]
        hints = _hints(kind)
        chain.append({
            a.name: a.replace(annotation=hints.get(a.name, Any))
            for a in arguments if a.kind in NAMED and a.name != "segmenter"
        })  # fmt: skip
        if not any(a.kind is inspect.Parameter.VAR_KEYWORD for a in arguments):
            break
    return {name: parameter for arguments in reversed(chain) for name, parameter in arguments.items()}


def check_settings(learner: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as the constructor wants them, a whole number as a float where it asks for one.

    Raises:
        UserError: a setting that does not exist or is missing, or a value that does not fit its annotation.
    """
    parameters = parameters_of(learner)
    for name, value in values.items():
        if name not in parameters:
            raise UserError(f"learner.{name}: {value!r:.60}: no such key; {did_you_mean(name, parameters)}")
    for name, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and name not in values:
            raise UserError(f"learner.{name}: has no default; give it with --set learner.{name}=VALUE")
    return {name: _checked(learner, name, value) for name, value in values.items()}


def _checked(learner: type, name: str, value: Any) -> Any:
    try:
        return _adapter(learner, name).validate_python(value)
    except ValidationError as error:
        raise UserError(explain(error, parameters_of(learner)[name].annotation, f"learner.{name}")) from error


@cache
def _adapter(learner: type, name: str) -> TypeAdapter[Any]:
    """Made once: it takes longer than all checks by it."""
    return TypeAdapter(parameters_of(learner)[name].annotation, config=ConfigDict(strict=True))


def _hints(kind: type) -> dict[str, Any]:
    """Annotations that cannot be evaluated, as those of names imported for type checkers only, say nothing."""
    try:
        return get_type_hints(kind.__init__, include_extras=True)  # type: ignore[misc]
    except (NameError, TypeError, AttributeError):
        return {}
