"""``cvis score``: the official numbers of any results file, without a model."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, cast

import typer

from cvis.cli import names
from cvis.cli.explain import category_ids
from cvis.cli.output import check_score, emit_json, examples, show_table
from cvis.errors import UserError

if TYPE_CHECKING:
    from cvis.data.videoset import VideoSet
    from cvis.evaluation.digest import Selection
    from cvis.evaluation.identity import IdentityResult
    from cvis.evaluation.result import Result
    from cvis.types import Category, Tracks

EXAMPLES = examples(
    "cvis score --ann instances.json --pred results.json",
    "cvis score --ann instances.json --pred predictions.json.gz --per-class --identity",
    "cvis score --ann instances.json --pred results.json --scenario ytvis2019-20-4",
    "cvis score --ann instances.json --pred results.json --classes person,dog --videos with_gt --json",
)

VIDEOS = ("all", "with_gt")
LONG_FILE = 32 * 2**20
"""Bytes of predictions from which on a terminal shows a progress bar: a few seconds' work."""
IDENTITY_COLUMNS = ("HOTA", "DetA", "AssA", "IDF1")


Row = dict[str, Any]
"""The official twelve numbers of a set of classes, and under ``identity`` the eleven, where asked for."""


class Scores(NamedTuple):
    """What was evaluated, for any set of classes."""

    result: Result
    identity: IdentityResult | None

    def row(self, classes: Collection[int] | None = None) -> Row:
        identity = {"identity": self.identity.summary(classes)} if self.identity else {}
        return {**self.result.summary(classes), **identity}

    def per_class(self) -> dict[int, Row]:
        rows: dict[int, Row] = {**self.result.per_class()}
        if self.identity:
            rows = {c: {**rows[c], "identity": numbers} for c, numbers in self.identity.per_class().items()}
        return rows


def score(
    ann: Annotated[Path, typer.Option(help="Ground truth: an annotation file in YouTube-VIS format.")],
    pred: Annotated[Path, typer.Option(help="Predictions: a YouTube-VIS results file, .json or .json.gz.")],
    scenario: Annotated[
        str | None,
        typer.Option(
            help="Also the numbers of this stream's groups of classes: a name or a .toml file.",
            autocompletion=names.or_files(names.scenarios, ".toml"),
        ),
    ] = None,
    classes: Annotated[
        str | None, typer.Option(help="Only these classes: ids or names, comma separated. Default: all.")
    ] = None,
    videos: Annotated[
        str, typer.Option(help="all, or with_gt: only videos that hold an object of the evaluated classes.")
    ] = "all",
    per_class: Annotated[bool, typer.Option("--per-class", help="Also the numbers of each class.")] = False,
    identity: Annotated[bool, typer.Option("--identity", help="Also HOTA and IDF1.")] = False,
    min_score: Annotated[
        float, typer.Option(help="HOTA and IDF1 know no scores: they see only tracks with at least this one.")
    ] = 0.5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, unrounded.")] = False,
) -> None:
    """Score a results file: the official twelve numbers of video instance segmentation, x100.

    A number is null (-) where no ground truth falls in its range.
    """
    from cvis.data.ytvis import read_ytvis

    if scenario is not None and classes is not None:
        raise UserError("--classes: not together with --scenario, which names the classes; use one of the two")
    if videos not in VIDEOS:
        raise UserError(f"--videos: {videos!r}: no such choice; use one of {', '.join(VIDEOS)}")
    check_score(min_score)
    ground_truth = read_ytvis(ann, None)
    names = {category.id: category.name for category in ground_truth.categories}
    wanted = None if classes is None else category_ids(classes, names)
    groups = {} if scenario is None else _groups(scenario, ground_truth.categories)
    scores = _evaluate(pred, ground_truth, wanted, cast("Selection", videos), min_score if identity else None)
    if as_json:
        protocol = {"videos": videos, **({} if scenario is None else {"scenario": scenario})}
        emit_json(_as_json(scores, groups, per_class, {} if protocol == {"videos": "all"} else protocol))
        return
    _show(scores, groups, per_class, ground_truth.categories)
    typer.echo(f"\n{_protocol(scores)}")


def _evaluate(
    pred: Path, ground_truth: VideoSet, classes: Collection[int] | None, videos: Selection, min_score: float | None
) -> Scores:
    """AP, and with a ``min_score`` the identity metrics, which take whole videos: so the file is grouped by them."""
    from cvis.evaluation.ap import VideoAP
    from cvis.evaluation.results import entry_name, read_results, stream_results

    metric = VideoAP(ground_truth, classes)
    if min_score is None:
        for first, tracks in _watched(stream_results(pred, ground_truth), pred, len(ground_truth)):
            metric.extend(tracks, where=partial(entry_name, pred, first))
        return Scores(metric.result(videos=videos), None)

    from cvis.evaluation.identity import Identity

    identity = Identity(ground_truth, classes, min_score)
    for _, tracks in _watched(enumerate(read_results(pred, ground_truth)), pred, len(ground_truth)):
        metric.add(tracks)
        identity.add(tracks)
    return Scores(metric.result(videos=videos), identity.result(videos))


def _watched(parts: Iterable[tuple[int, Tracks]], pred: Path, total: int) -> Iterator[tuple[int, Tracks]]:
    """The same values, under a bar of the videos met so far if somebody watches and it takes a while."""
    if not (sys.stderr.isatty() and pred.is_file() and pred.stat().st_size >= LONG_FILE):
        yield from parts
        return
    from rich.console import Console
    from rich.progress import Progress

    seen = set()
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(pred.name, total=total)
        for part in parts:
            yield part
            seen.add(part[1].video_id)
            progress.update(bar, completed=len(seen))


def _groups(scenario: str, categories: tuple[Category, ...]) -> dict[str, tuple[int, ...]]:
    """Named groups of a stream's classes, from its file alone: the data set need not be there."""
    from cvis.scenario.order import listed_steps
    from cvis.scenario.spec import find_scenario, read_spec

    path = find_scenario(scenario)
    spec = read_spec(path)
    steps = listed_steps(spec.order, spec.base, spec.increment, categories, str(path))
    later = {f"step {index}": classes for index, classes in enumerate(steps[1:], start=1)}
    return {"all": tuple(c for classes in steps for c in classes), "base": steps[0], **later}


def _as_json(
    scores: Scores, groups: dict[str, tuple[int, ...]], per_class: bool, protocol: dict[str, str]
) -> dict[str, Any]:
    """The twelve numbers, and under further keys only what was asked for."""
    content = scores.row()
    if scores.identity is not None:
        content["identity"] = {"min_score": scores.identity.min_score, **content["identity"]}
    if per_class:
        content["per_class"] = {str(c): row for c, row in scores.per_class().items()}
    if groups:
        content["groups"] = {name: {"classes": list(c), **scores.row(c)} for name, c in groups.items()}
    return {**content, **({"protocol": protocol} if protocol else {})}


def _show(
    scores: Scores, groups: dict[str, tuple[int, ...]], per_class: bool, categories: tuple[Category, ...]
) -> None:
    total = _columns(scores.row())
    evaluated = len(scores.result.classes)
    name = "all classes" if evaluated == len(categories) else f"{evaluated} classes"
    names = {category.id: category.name for category in categories}
    rows = [[name, "", *total.values()]]
    if per_class:
        rows += [[names[c], str(c), *_columns(row).values()] for c, row in scores.per_class().items()]
    show_table(["class", "id", *total], rows)
    if groups:
        typer.echo()
        rows = [[name, str(len(c)), *_columns(scores.row(c)).values()] for name, c in groups.items()]
        show_table(["group", "classes", *total], rows)


def _columns(row: Row) -> dict[str, str]:
    """Heading -> text of a table's cell."""
    official = {name: value for name, value in row.items() if name != "identity"}
    identity = {name: row["identity"][name] for name in IDENTITY_COLUMNS} if "identity" in row else {}
    return {name: "-" if value is None else f"{value:.2f}" for name, value in {**official, **identity}.items()}


def _protocol(scores: Scores) -> str:
    """What the numbers are over, in one line."""
    result = scores.result
    defined = sum(row["AP"] is not None for row in result.per_class().values())
    chosen = "" if result.videos == "all" else " (with an object of the evaluated classes)"
    parts = [
        f"videos {result.videos}: {result.num_videos}{chosen}, {len(result.missing_videos)} without predictions",
        f"classes with ground truth: {defined} of {len(result.classes)}",
    ]
    if scores.identity is not None:
        parts.append(f"HOTA and IDF1 over tracks with a score of at least {scores.identity.min_score:g}")
    return "; ".join(parts)
