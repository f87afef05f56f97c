"""``cvis check-learner``: the conformance kit of learners."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cvis.cli import names
from cvis.cli.output import emit_json, examples, show_table
from cvis.errors import UserError

if TYPE_CHECKING:
    from cvis.testing.check import Check, Outcome

EXAMPLES = examples(
    "cvis check-learner my_method.py:MyMethod",
    "cvis check-learner my_method --segmenter my_model.py:MyModel",
    "cvis check-learner balconpas --set learner.tracks_per_class=2 --json",
    "cvis check-learner --list",
)
STYLES = {"passed": typer.colors.GREEN, "failed": typer.colors.RED}


def check_learner(
    learner: Annotated[
        str | None,
        typer.Argument(
            help="A learner of `cvis learners`, or path/to/file.py:Class.",
            autocompletion=names.or_files(names.learners, ".py"),
        ),
    ] = None,
    segmenter: Annotated[
        str,
        typer.Option(
            help="What it is tried with: one of `cvis segmenters`, or path/to/file.py:Class.",
            autocompletion=names.or_files(names.segmenters, ".py"),
        ),
    ] = "mask2former_tiny",
    settings: Annotated[
        list[str], typer.Option("--set", metavar="KEY=VALUE", help="A setting of the learner; repeatable.")
    ] = [],  # noqa: B006  # typer copies it
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    only_list: Annotated[bool, typer.Option("--list", help="Say what each check holds, and stop.")] = False,
) -> None:
    """Train a learner on a tiny stream and check that it keeps its contract: a line per check.

    Exits with 1 if a check failed. It takes seconds; in a test of your own, use cvis.testing.check_learner.
    """
    from cvis.testing.learner import CHECKS, learner_outcomes

    if only_list:
        show_checks(CHECKS, as_json)
    elif learner is None:
        raise UserError("check-learner: no learner given; name one of cvis learners, or path/to/file.py:Class")
    else:
        show_outcomes(learner_outcomes(learner, segmenter, settings), as_json)


def show_checks(checks: Sequence[Check], as_json: bool) -> None:
    """What each check holds."""
    from cvis.testing.check import described

    if as_json:
        emit_json([{"check": name, "holds": holds} for name, holds in described(checks)])
    else:
        show_table(["check", "holds"], described(checks), left=2)


def show_outcomes(outcomes: Iterable[Outcome], as_json: bool) -> None:
    """A line per check as it ends, or all as JSON; exit code 1 if one failed."""
    done = []
    for each in outcomes:
        done.append(each)
        if not as_json:
            status = typer.style(f"{each.status:<14}", fg=STYLES.get(each.status))
            typer.echo(f"{each.check:<16}  {status}  {each.says}".rstrip())
    if as_json:
        emit_json([asdict(each) for each in done])
    if any(each.status == "failed" for each in done):
        raise typer.Exit(1)
