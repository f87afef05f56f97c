"""``cvis check-segmenter``: the conformance kit of segmenters."""

from __future__ import annotations

from typing import Annotated

import typer

from cvis.cli import names
from cvis.cli.check_learner import show_checks, show_outcomes
from cvis.cli.output import examples
from cvis.errors import UserError

EXAMPLES = examples(
    "cvis check-segmenter my_model.py:MyModel",
    "cvis check-segmenter my_model --set segmenter.width=8 --json",
    "cvis check-segmenter --list",
)


def check_segmenter(
    segmenter: Annotated[
        str | None,
        typer.Argument(
            help="One of `cvis segmenters`, a .py file, or path/to/file.py:Class.",
            autocompletion=names.or_files(names.segmenters, ".py"),
        ),
    ] = None,
    settings: Annotated[
        list[str], typer.Option("--set", metavar="KEY=VALUE", help="A setting of the segmenter; repeatable.")
    ] = [],  # noqa: B006  # typer copies it
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    only_list: Annotated[bool, typer.Option("--list", help="Say what each check holds, and stop.")] = False,
) -> None:
    """Check that a segmenter keeps its contract, and every ability that it declares: a line per check.

    Exits with 1 if a check failed. It takes seconds; in a test of your own, use cvis.testing.check_segmenter.
    """
    from cvis.testing.segmenter import CHECKS, segmenter_outcomes

    if only_list:
        show_checks(CHECKS, as_json)
    elif segmenter is None:
        raise UserError("check-segmenter: no segmenter given; name one of cvis segmenters, or path/to/file.py:Class")
    else:
        show_outcomes(segmenter_outcomes(segmenter, settings), as_json)
