"""What ``cvis run --dry-run`` prints: the configuration with the source of each value, and what a run would do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from cvis.engine.config import Config


def show(config: Config, sources: Mapping[str, str]) -> None:
    """The configuration as a config file can hold it, and below it, as comments, the steps and an estimate of time.

    Raises:
        UserError: the stream or its data set does not exist; the configuration is printed all the same.
    """
    typer.echo("# A value is the default where no remark says where it comes from.")
    for line in _assignments(config.model_dump(), sources):
        typer.echo(line)
    typer.echo()
    for line in _outline(config):
        typer.echo(f"# {line}".rstrip())


def _assignments(values: Mapping[str, Any], sources: Mapping[str, str], prefix: str = "") -> Iterator[str]:
    """Lines of Python, a line per key; those of a group within ``dict(...)``."""
    inner, end = ("    " * prefix.count("."), "," if prefix else "")
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value and all(k.isidentifier() for k in value):
            yield f"{inner}{key} = dict(" if not prefix else f"{inner}{key}=dict("
            yield from _assignments(value, sources, f"{name}.")
            yield f"{inner}){end}"
        else:
            source = sources.get(name) or next((s for k, s in sources.items() if k.startswith(f"{name}.")), None)
            remark = f"  # {source}" if source else ""
            yield f"{inner}{key}{'=' if prefix else ' = '}{value!r}{end}{remark}"


def _outline(config: Config) -> Iterator[str]:
    from cvis.engine.outline import outline
    from cvis.engine.progress import clock
    from cvis.report.formats.terminal import aligned
    from cvis.report.value import Table, numbers, texts, words
    from cvis.runs.folder import run_folder

    plan = outline(config)
    scenario, steps = plan.scenario, plan.steps
    rows = [
        (*texts(*map(str, (s.index, s.new_classes, s.train_videos, s.iterations)), "stored" if s.shared else ""),)
        for s in steps
    ]
    columns = (*numbers("step", "new classes", "train videos", "iterations"), *words(""))
    yield f"{scenario.name} on {plan.device}, in {run_folder(config.model_dump(), scenario.name)}"
    yield f"{len(steps)} steps, {len(scenario.classes)} classes, each step tested on {len(scenario.test)} videos"
    yield from aligned(Table(columns, tuple(rows)))
    if any(step.shared for step in steps):
        yield "stored: a model of this recipe exists, which all learners share; step 0 is not trained again"
    if plan.seconds is None:
        yield "time: unknown; no run on this stream with this model was timed here"
    else:
        yield f"time: about {clock(plan.seconds)}, as {plan.timed} runs like it took here"
