"""How a learner is found: our own, those of installed packages, and a class in the user's file."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmengine.registry import Registry

from cvis import __version__
from cvis.errors import UserError

if TYPE_CHECKING:
    from cvis.learners.base import Learner
    from cvis.segmenters import Segmenter

ENTRY_POINTS = "cvis.learners"
LEARNERS = Registry("learner", scope="cvis", locations=["cvis.learners"])


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


_broken: dict[str, LearnerInfo] = {}
_origin: dict[str, tuple[str, str]] = {}  # name -> package and version of plugins


def load_plugins() -> None:
    """Register every learner that an installed package offers; a broken one is remembered, not raised."""
    LEARNERS.import_from_location()
    for point in entry_points(group=ENTRY_POINTS):
        package = point.dist.name if point.dist else "?"
        version = point.dist.version if point.dist else "?"
        if point.name in _origin or point.name in _broken:
            continue
        try:
            learner = point.load()
            _check_learner(learner, f"entry point {point.name} of {package}")
            LEARNERS.register_module(name=point.name, module=learner)
            _origin[point.name] = (package, version)
        except Exception as error:  # a plugin may fail in any way, and must take nothing down
            reason = f"{type(error).__name__}: {error}"
            _broken[point.name] = LearnerInfo(point.name, package, version, error=reason)


def find_learner(name: str) -> type[Learner]:
    """The learner class called ``name``, or ``path/to/file.py:Class``.

    Raises:
        UserError: no such learner, file or class, or a plugin that does not load.
    """
    if ".py:" in name:
        return _from_file(name)
    load_plugins()
    learner = LEARNERS.get(name) if name else None
    if learner is None and name in _broken:
        info = _broken[name]
        raise UserError(f"learner {name!r} of package {info.package} does not load: {info.error}")
    if learner is None:
        known = ", ".join(sorted(LEARNERS.module_dict))
        raise UserError(f"learner: {name!r} does not exist; choose one of {known}, or path/to/file.py:Class")
    return learner


def parameters_of(learner: type) -> dict[str, inspect.Parameter]:
    """The settings of a learner: the arguments of its constructor after ``segmenter``."""
    signature = inspect.signature(learner)
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {n: p for n, p in signature.parameters.items() if p.kind in named and n != "segmenter"}


def build_learner(config: dict[str, Any], segmenter: Segmenter) -> Learner:
    """Build a learner from ``dict(type=name, **parameters)``.

    Raises:
        UserError: the segmenter lacks a capability that the learner requires.
    """
    config = dict(config)
    name = config.pop("type")
    learner = find_learner(name)
    missing = sorted(learner.requires - segmenter.capabilities)
    if missing:
        raise UserError(
            f"learner {name!r} needs {', '.join(missing)} of the segmenter, which {type(segmenter).__name__} "
            f"does not offer; it offers {', '.join(sorted(segmenter.capabilities))}"
        )
    try:
        return learner(segmenter, **config)
    except (TypeError, ValueError) as error:
        raise UserError(f"learner {name!r}: cannot be built with {config}: {error}; see cvis learners") from error


def available() -> list[LearnerInfo]:
    """Every learner that can be named, and every plugin that should be but is broken."""
    load_plugins()
    return [*map(describe_learner, sorted(LEARNERS.module_dict)), *(_broken[name] for name in sorted(_broken))]


def describe_learner(name: str) -> LearnerInfo:
    """What is known of the learner called ``name``, or ``path/to/file.py:Class``.

    Raises:
        UserError: see :func:`find_learner`.
    """
    learner = find_learner(name)
    package, version = _origin.get(name, ("-", "") if ".py:" in name else ("cvis", __version__))
    doc = (inspect.getdoc(learner) or "").split("\n")[0]
    parameters = {n: _default_text(p) for n, p in parameters_of(learner).items()}
    return LearnerInfo(name, package, version, doc, parameters, tuple(sorted(learner.requires)))


def _default_text(parameter: inspect.Parameter) -> str:
    return "(required)" if parameter.default is inspect.Parameter.empty else repr(parameter.default)


def _from_file(name: str) -> type[Learner]:
    file, _, attribute = name.rpartition(":")
    path = Path(file).expanduser().resolve()
    if not path.is_file():
        raise UserError(f"learner: {file}: no such file; give path/to/file.py:Class")
    spec = importlib.util.spec_from_file_location(f"cvis_user_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UserError(f"learner: {file}: is not a Python file; give path/to/file.py:Class")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # the user's file may fail in any way; say how, in one line
        raise UserError(f"learner: {file}: does not import: {type(error).__name__}: {error}") from error
    if not hasattr(module, attribute):
        raise UserError(f"learner: {file}: has no class {attribute!r}; give path/to/file.py:Class")
    return _check_learner(getattr(module, attribute), name)


def _check_learner(learner: object, where: str) -> type[Learner]:
    from cvis.learners.base import Learner  # the registry is imported by the learners themselves

    if not (isinstance(learner, type) and issubclass(learner, Learner)):
        raise UserError(f"learner: {where}: is not a subclass of cvis.Learner")
    if learner.loss is Learner.loss:
        raise UserError(f"learner: {where}: defines no loss(self, clip)")
    return learner
