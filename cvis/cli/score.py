"""``cvis score``: the official numbers of any results file, without a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cvis.cli.output import Cell, emit_json, examples, show_table
from cvis.errors import UserError

if TYPE_CHECKING:
    from cvis.types import Category

EXAMPLES = examples(
    "cvis score --ann instances.json --pred results.json",
    "cvis score --ann instances.json --pred predictions.json.gz --per-class",
    "cvis score --ann instances.json --pred results.json --classes person,dog --json",
)


def score(
    ann: Annotated[Path, typer.Option(help="Ground truth: an annotation file in YouTube-VIS format.")],
    pred: Annotated[Path, typer.Option(help="Predictions: a YouTube-VIS results file, .json or .json.gz.")],
    classes: Annotated[
        str | None, typer.Option(help="Only these classes: ids or names, comma separated. Default: all.")
    ] = None,
    per_class: Annotated[bool, typer.Option("--per-class", help="Also the numbers of each class.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, unrounded.")] = False,
) -> None:
    """Score a results file: the official twelve numbers of video instance segmentation, x100.

    A number is null (-) where no ground truth falls in its range.
    """
    from cvis.data.ytvis import read_ytvis
    from cvis.evaluation.results import read_results
    from cvis.evaluation.score import score as evaluate

    ground_truth = read_ytvis(ann, None)
    wanted = None if classes is None else _ids(classes, ground_truth.categories)
    result = evaluate(ground_truth, read_results(pred, ground_truth), wanted)
    total, each = result.summary(), result.per_class() if per_class else {}
    if as_json:
        extra = {"per_class": {str(i): row for i, row in each.items()}} if per_class else {}
        emit_json({**total, **extra})
        return
    names = {category.id: category.name for category in ground_truth.categories}
    rows = [["all classes" if classes is None else f"{len(result.classes)} classes", "", *_texts(total)]]
    rows += [[names[i], str(i), *_texts(row)] for i, row in each.items()]
    cells: list[list[Cell]] = [list(row) for row in rows]
    show_table(["class", "id", *total], cells)


def _texts(numbers: dict[str, Any]) -> list[str]:
    return ["-" if value is None else f"{value:.2f}" for value in numbers.values()]


def _ids(text: str, categories: tuple[Category, ...]) -> list[int]:
    """Category ids of a comma separated list of ids and names; a name that is a number is taken as an id."""
    by_name = {category.name: category.id for category in categories}
    by_id = {str(category.id): category.id for category in categories}
    found = []
    for item in (part.strip() for part in text.split(",")):
        if item not in by_id and item not in by_name:
            known = ", ".join(f"{category.id} {category.name}" for category in categories)
            raise UserError(f"--classes: {item!r}: not a category of the ground truth; choose of {known}")
        found.append(by_id.get(item, by_name.get(item, -1)))
    return found
