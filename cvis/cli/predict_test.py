"""``cvis predict-test``: the test of a run's step by hand, whole or in shards on several machines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cvis.cli.output import emit_json, examples, show_table
from cvis.errors import UserError

EXAMPLES = examples(
    "cvis predict-test runs/synthetic-20-4/mask2former_tiny/finetune/seed0 --step 2",
    "cvis predict-test runs/synthetic-20-4/mask2former_tiny/finetune/seed0 --step 2 --shard 1/4",
    "cvis predict-test runs/synthetic-20-4/mask2former_tiny/finetune/seed0 --step 2 --merge",
)
SHOWN = ("mAP_all", "mAP_seen", "mAP_base", "mAP_new", "AP50", "AP75", "AR1", "AR10")


def predict_test(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run.")],
    step: Annotated[int | None, typer.Option(help="The model after this step. Default: the last.")] = None,
    shard: Annotated[
        str | None, typer.Option(metavar="K/N", help="Only part K of N, from 1; parts have about as many frames.")
    ] = None,
    merge: Annotated[bool, typer.Option("--merge", help="Put all parts together, and score them.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder of predictions and digests. Default: test-step<STEP> in the run's.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="The folder of the data set, if it has moved.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    trust: Annotated[
        bool, typer.Option("--trust", help="Run the Python file that the run names as its learner or segmenter.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Predict the test videos with the model of a step again, and score them.

    In shards it is several commands, one with --shard for each and one with --merge after them, which writes what one
    command for all would have written, to the last byte.
    """
    from cvis.evaluation.shards import Shard, all_shards
    from cvis.evaluation.shards import merge as put_together
    from cvis.runs.digests import metrics_at
    from cvis.runs.open import open_run
    from cvis.runs.paths import StepFolder

    if merge and shard is not None:
        raise UserError("--merge: not together with --shard; merge after all shards are predicted")
    number, count = _parse(shard or "1/1")
    opened = open_run(run)
    scenario = opened.scenario(data)
    step = opened.result.step_at(step)
    folder = StepFolder(out or run / f"test-step{step}")
    if merge:
        shards = all_shards(folder.path)
    else:
        from cvis.engine.predict import load_trained

        shards = [Shard(folder.path, number, count)]
        trained = load_trained(run, step, device, trust)
        shards[0].write(trained.predict(shards[0].videos(scenario.test.videos)), scenario.test, scenario.classes)
    if shard is not None:
        typer.echo(f"shard {shard} of the test of step {step}: {shards[0].predictions}")
        return
    digest = put_together(shards, folder.predictions, folder.digest)
    numbers = metrics_at(opened, scenario, step, digest)
    if as_json:
        emit_json({"step": step, "predictions": str(folder.predictions), **numbers})
        return
    show_table(["step", *SHOWN], [[str(step), *("-" if (v := numbers[n]) is None else f"{v:.2f}" for n in SHOWN)]])
    typer.echo(f"\npredictions: {folder.predictions}")


def _parse(shard: str) -> tuple[int, int]:
    """``2/4`` -> 2, 4."""
    number, slash, count = shard.partition("/")
    if not (slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise UserError(f"--shard {shard}: is not K/N with K from 1 to N; give 2/4 for the second of four parts")
    return int(number), int(count)
