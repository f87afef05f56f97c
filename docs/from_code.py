"""What the pages take from the code when they are built: learners, models, measures, keys, streams.

A page says where by a line ``<!-- from the code: NAME -->``, NAME being a function of ``PAGES``.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, get_args, get_origin

from docstrings import arguments, cell, inline, markdown, mentioned, sections


def learners() -> str:
    """Every learner of ours: paper, text, settings, equations, deviations."""
    from cvis.learners import LEARNERS, find_learner
    from cvis.learners.settings import parameters_of
    from cvis.segmenters.abilities import ability_name

    pages = []
    for name in _ours(LEARNERS):
        kind = find_learner(name)
        needs = ", ".join(f"`{ability_name(ability)}`" for ability in kind.requires) or "nothing"
        facts = f"*Needs of the model:* {needs}"
        pages.append(_described(name, kind, "learner", parameters_of(kind), facts))
    return "\n\n".join(pages)


def models() -> str:
    """Every model of ours: its class, and the shipped files that configure it."""
    from cvis.learners.settings import parameters_of
    from cvis.segmenters import SEGMENTERS
    from cvis.segmenters.abilities import abilities_of

    pages = []
    for name in _ours(SEGMENTERS):
        kind = SEGMENTERS.find(name)
        facts = "*Offers to learners:* " + (", ".join(f"`{a}`" for a in abilities_of(kind)) or "the core")
        files = _table(["file", "what"], [row for row in _configured(name)])
        pages.append(_described(name, kind, "segmenter", parameters_of(kind), f"{facts}\n\n{files}"))
    return "\n\n".join(pages)


def abilities() -> str:
    """Each ability, what a model defines for it, and which learners ask for it."""
    from cvis.learners import LEARNERS, find_learner
    from cvis.segmenters.abilities import ABILITIES
    from cvis.segmenters.contract import Segmenter

    asking = {name: find_learner(name).requires for name in _ours(LEARNERS)}
    rows, known = [], set()
    for ability in (Segmenter, *ABILITIES):
        new = [name for name in vars(ability) if name in ability.__abstractmethods__ and name not in known]
        known |= {*new}
        users = [name for name, needs in asking.items() if (ability in needs if needs else ability is Segmenter)]
        says = inline(_first(ability))
        defines = ", ".join(f"`{name}`" for name in new) or "-"
        rows.append([f"`{ability.__name__}`", says, defines, ", ".join(f"`{name}`" for name in users) or "-"])
    return _table(["ability", "the model", "it defines", "asked for by"], rows)


def measures() -> str:
    """The table of all metrics; then each that is computed from the AP of all classes, with its formula and example."""
    from cvis.evaluation.measures import MEASURES

    rows = [
        [f"`{key}`", inline(m.meaning), m.unit, m.direction, ", ".join(m.places) or "file only"]
        for key, m in MEASURES.items()
    ]
    parts = [_table(["name", "what it is", "unit", "better", "of a"], rows)]
    seen: set[Any] = set()
    for key, measure in MEASURES.items():
        function = getattr(measure.of or measure.against_joint, "func", measure.of or measure.against_joint)
        if function is not None and function not in seen:
            seen.add(function)
            parts += [f"### `{key}`", markdown(sections(inspect.getdoc(function) or "")[""])]
    return "\n\n".join(parts)


def identity() -> str:
    """The formulas of HOTA and IDF1, with their example."""
    from cvis.evaluation.tracking import Counts

    return "\n\n".join(markdown(inspect.getdoc(each) or "") for each in (Counts, Counts.scores))


def keys() -> str:
    """Every key of a run beside those of learner and segmenter: default, choices, and the comment beside it."""
    from cvis.engine import config

    parts = []
    for name, field in config.Config.model_fields.items():
        if not (inspect.isclass(field.annotation) and issubclass(field.annotation, config.Part)):
            continue
        if not isinstance(field.default, config.Part):
            continue
        says = _comments(field.annotation)
        rows = [
            [f"`{name}.{key}`", f"`{_plain(default)}`", inline(", ".join([*says.get(key, []), *_choices(annotation)]))]
            for key, default, annotation in _fields(field.default, config.Part)
        ]
        parts += [f"### `{name}`", inline(inspect.getdoc(field.annotation) or ""), _table(["key", "default", ""], rows)]
    return "\n\n".join(parts)


def streams() -> str:
    """The shipped streams."""
    from cvis.scenario.spec import find_scenario, list_scenarios, read_spec

    found = [(name, read_spec(find_scenario(name))) for name in list_scenarios()]
    return _table(["stream", "what it is"], [[f"`{name}`", inline(spec.description)] for name, spec in found])


PAGES: dict[str, Callable[[], str]] = {
    made.__name__: made for made in (learners, models, abilities, measures, identity, keys, streams)
}


def _ours(plugins: Any) -> list[str]:
    return [name for name in plugins.names() if plugins.origin(name).package == "cvis"]


def _described(name: str, kind: type, part: str, parameters: dict[str, inspect.Parameter], facts: str) -> str:
    """A class: the paper in its module's docstring, its own docstring, its settings, the equations, the deviations."""
    doc = sections(inspect.getdoc(kind) or "")
    paper = (sys.modules[kind.__module__].__doc__ or "").strip().partition("\n\n")[0]
    pages = [f"## `{name}`", f"{{.paper}}\n{inline(paper)}", markdown(doc[""]), facts]
    if parameters:
        rows = [
            [f"`{key}`", "" if p.default is p.empty else f"`{cell(_plain(p.default))}`", inline(text)]
            for (key, p), text in zip(parameters.items(), explained(kind, parameters), strict=True)
        ]
        pages.append(_table([f"`--set {part}.`", "default", ""], rows))
    for each, found in mentioned(inspect.getdoc(kind) or "", kind.__module__):
        if found not in kind.__mro__ and found.__module__.split(".")[:2] == kind.__module__.split(".")[:2]:
            pages.append(_folded(each, found))
    if "Deviations" in doc:
        pages += ["**Where it differs from what was published**", markdown(doc["Deviations"])]
    return "\n\n".join(pages)


def explained(kind: type, parameters: Iterable[str]) -> list[str]:
    """What the class, or the one it hands its settings on to, says of each setting; "" if nobody says anything."""
    texts: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        texts |= arguments(sections(inspect.cleandoc(each.__doc__ or "")).get("Args", ""))
    return [texts.get(name, "") for name in parameters]


def _folded(name: str, found: Any) -> str:
    doc = sections(inspect.getdoc(found) or "")
    listed = "\n".join(f"- `{key}`: {inline(text)}" for key, text in arguments(doc.get("Args", "")).items() if key)
    body = "\n\n".join(filter(None, [markdown(doc[""]), listed]))
    return f"<details><summary><code>{name}</code></summary>\n\n{body}\n\n</details>"


def _configured(model: str) -> list[list[str]]:
    from mmengine.config import Config

    from cvis.files import shipped

    rows = []
    for path in sorted((shipped("configs") / "segmenters").glob("*.py")):
        if Config.fromfile(str(path)).to_dict()["segmenter"].get("type") == model:
            rows.append([f"`{path.stem}`", inline(path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# "))])
    return rows


def _fields(part: Any, nested: type, prefix: str = "") -> Iterable[tuple[str, Any, Any]]:
    """(key, default, annotation) of a part of the configuration and of the parts in it."""
    for key, field in type(part).model_fields.items():
        value = getattr(part, key)
        if isinstance(value, nested):
            yield from _fields(value, nested, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value, field.annotation


def _comments(part: type) -> dict[str, list[str]]:
    lines = inspect.getsource(part).splitlines()
    found = (re.match(r"    (\w+): .*?  # (.+)", line) for line in lines)
    return {match[1]: [match[2]] for match in found if match}


def _choices(annotation: Any) -> list[str]:
    if get_origin(annotation) is Literal:
        return ["one of " + ", ".join(f"``{choice}``" for choice in get_args(annotation))]
    return [choice for inner in get_args(annotation) for choice in _choices(inner)]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


def _first(kind: type) -> str:
    return " ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].split())


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *([cell(value) for value in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
