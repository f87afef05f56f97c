"""Learners by name, built and described."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cvis.errors import UserError
from cvis.learners.settings import check_settings, parameters_of
from cvis.plugins import Plugins, first_line
from cvis.segmenters.abilities import ABILITIES, abilities_of, ability_name
from cvis.segmenters.contract import Segmenter

if TYPE_CHECKING:
    from cvis.learners.base import Learner


def _check_learner(learner: Any, where: str) -> type[Learner]:
    from cvis.learners.base import Learner  # learners register themselves here, so they import this file

    if not (isinstance(learner, type) and issubclass(learner, Learner)):
        raise UserError(f"learner: {where}: is not a subclass of cvis.Learner")
    if learner.loss is Learner.loss:
        raise UserError(f"learner: {where}: defines no loss(self, clip)")
    for ability in learner.requires:
        if not (isinstance(ability, type) and issubclass(ability, Segmenter)):
            what = f"requires: {ability!r:.60}: is no class of cvis.segmenters.contract"
            raise UserError(f"learner: {where}: {what}; choose of {', '.join(kind.__name__ for kind in ABILITIES)}")
    return learner


LEARNERS: Plugins[Learner] = Plugins("learner", "cvis.learners", _check_learner)
"""Register a class by ``@LEARNERS.register_module(name=...)``."""


@dataclass(frozen=True)
class LearnerInfo:
    """What ``cvis learners`` prints of one learner; ``error`` says why a plugin could not be loaded."""

    name: str
    package: str
    version: str
    doc: str = ""
    parameters: dict[str, str] = field(default_factory=dict)  # name -> default, as text
    requires: tuple[str, ...] = ()
    error: str | None = None


def find_learner(name: str) -> type[Learner]:
    """The learner class called ``name``, or ``path/to/file.py:Class``.

    Raises:
        UserError: see :meth:`cvis.plugins.Plugins.find`.
    """
    return LEARNERS.find(name)


def build_learner(config: dict[str, Any], segmenter: Segmenter) -> Learner:
    """Build a learner from ``dict(type=name, **settings)``.

    Raises:
        UserError: the segmenter lacks an ability that the learner requires, or a setting is not possible.
    """
    settings = dict(config)
    name = settings.pop("type")
    learner = find_learner(name)
    check_pair(name, type(segmenter))
    for ability in learner.requires:
        if setting := segmenter.switched_off.get(ability):
            what = f"learner {name!r} needs {ability_name(ability)} of the segmenter, which is off"
            raise UserError(f"{what}; set {setting}")
    settings = check_settings(learner, settings)
    try:
        built = learner(segmenter, **settings)
    except (TypeError, ValueError) as error:
        raise UserError(f"learner {name!r}: cannot be built with {settings}: {error}; see cvis learners") from error
    except AttributeError as error:
        if "before Module.__init__" not in str(error):
            raise
        raise _uninitialised(learner) from error
    if "_modules" not in vars(built) or "segmenter" not in built._modules:
        raise _uninitialised(learner)
    label = built.label or name
    if name in segmenter.variants and not label.endswith("(variant)"):
        built.label = f"{label} (variant)"
    return built


def _uninitialised(learner: type[Learner]) -> UserError:
    what = f"learner: {learner.__name__}.__init__: does not call its parent's"
    return UserError(f"{what}; make super().__init__(segmenter) its first line")


def lacking(name: str, segmenter: type[Segmenter]) -> list[type[Segmenter]]:
    """The abilities that a learner needs and a segmenter does not have."""
    return [ability for ability in find_learner(name).requires if not issubclass(segmenter, ability)]


def check_pair(name: str, segmenter: type[Segmenter]) -> None:
    """Refuse a learner that needs what the segmenter cannot do.

    Raises:
        UserError: names the abilities that are missing.
    """
    if missing := lacking(name, segmenter):
        offered = ", ".join(abilities_of(segmenter)) or "nothing beside the core"
        raise UserError(
            f"learner {name!r} needs {', '.join(map(ability_name, missing))} of the segmenter, which "
            f"{segmenter.__name__} does not offer; it offers {offered}"
        )


def available() -> list[LearnerInfo]:
    """Every learner that can be named, and every plugin that should be but is broken."""
    broken = [LearnerInfo(o.name, o.package, o.version, error=o.error) for o in LEARNERS.broken()]
    return [*map(describe_learner, LEARNERS.names()), *broken]


def describe_learner(name: str) -> LearnerInfo:
    """What is known of the learner called ``name``, or ``path/to/file.py:Class``.

    Raises:
        UserError: see :func:`find_learner`.
    """
    learner, origin = find_learner(name), LEARNERS.origin(name)
    parameters = {n: _default_text(p) for n, p in parameters_of(learner).items()}
    requires = tuple(map(ability_name, learner.requires))
    return LearnerInfo(name, origin.package, origin.version, first_line(learner), parameters, requires)


def _default_text(parameter: inspect.Parameter) -> str:
    return "(required)" if parameter.default is inspect.Parameter.empty else repr(parameter.default)
