"""``cvis run``: the full incremental protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cvis.cli import names
from cvis.cli.output import examples
from cvis.errors import UserError

EXAMPLES = examples(
    "cvis run synthetic-20-4 --learner finetune",
    "cvis run synthetic-20-4 --learner joint --seeds 0,1,2",
    "cvis run ytvis2019-20-4 --learner finetune --segmenter mask2former_r50 --data /data/ytvis2019",
    "cvis run my-stream.toml --learner my_method.py:MyMethod --set schedule.base.iterations=300",
    "cvis run synthetic-20-4 --learner crisp --set learner.arsp=false --name crisp-isc-pi-ic",
    "cvis run ytvis2019-20-4 --learner crisp --preset crisp_paper --segmenter mask2former_r50",
    "cvis run synthetic-20-4 --learner finetune --logger wandb --logger tensorboard",
    "cvis run synthetic-20-4 --learner finetune --dry-run",
)


def run(
    scenario: Annotated[
        str,
        typer.Argument(
            help="A stream of `cvis scenario list`, or a .toml file.",
            autocompletion=names.or_files(names.scenarios, ".toml"),
        ),
    ],
    learner: Annotated[
        str,
        typer.Option(
            help="A learner of `cvis learners`, or path/to/file.py:Class.",
            autocompletion=names.or_files(names.learners, ".py"),
        ),
    ],
    segmenter: Annotated[
        str,
        typer.Option(
            help="A segmenter of `cvis segmenters`, or a .py file.",
            autocompletion=names.or_files(names.segmenters, ".py"),
        ),
    ] = "mask2former_tiny",
    schedule: Annotated[
        str | None, typer.Option(help="A file of configs/schedules.", autocompletion=names.schedules)
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="A file of configs/presets: settings that belong together, as crisp_paper.",
            autocompletion=names.presets,
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed. Default: 0.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Several runs, one per seed: 0,1,2.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the data set. Default: $CVIS_DATA/<data set>.")] = None,
    runs: Annotated[Path | None, typer.Option(help="Folder of the results. Default: runs.")] = None,
    name: Annotated[
        str | None, typer.Option(help="What folder and tables call this run. Default: the learner's name[-preset].")
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            help="random, imagenet, coco, a checkpoint, or a run's folder: its last step, or RUN/step0; "
            "backbone:PATH takes the backbone alone, of another segmenter too."
        ),
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that load data. Default: as many as keep a GPU busy; on a CPU none.")
    ] = None,
    launcher: Annotated[str | None, typer.Option(help="none, pytorch (torchrun) or slurm.")] = None,
    on_bad_frame: Annotated[
        str | None,
        typer.Option(
            help="error, or skip: where a frame of a training video cannot be read, another clip is shown, and counted "
            "in the results. Default: error."
        ),
    ] = None,
    evaluate: Annotated[
        str | None,
        typer.Option(
            help="each-step; one-pass: all steps together after the last, each video looked at once (learners whose "
            "old parts are frozen: eclipse, crisp, anchor); auto: one-pass if the learner can. Equal numbers. "
            "Default: each-step."
        ),
    ] = None,
    cache_features: Annotated[
        str | None,
        typer.Option(
            help="ram or disk: keep what a frozen model says of frames, by what they show (eclipse, crisp, anchor); of "
            "training clips too, if they return (schedule.incremental.views); disk: for later runs. Default: off."
        ),
    ] = None,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="The same bits again; on a GPU as far as torch can (it warns).")
    ] = False,
    loggers: Annotated[
        list[str],
        typer.Option(
            "--logger",
            metavar="NAME",
            help="tensorboard, wandb, mlflow, aim, local or none; repeatable. Default: tensorboard. They write below "
            "the run's folder; wandb is offline unless WANDB_MODE says otherwise, MLFLOW_TRACKING_URI names a server.",
        ),
    ] = [],  # noqa: B006  # typer copies it
    settings: Annotated[
        list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override any key; repeatable.")
    ] = [],  # noqa: B006  # typer copies it
    stop_after: Annotated[
        int | None,
        typer.Option(min=0, metavar="STEP", help="End after this step; the same command without it goes on."),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print the configuration, where its values come from, and the steps; and stop."),
    ] = False,
) -> None:
    """Run a learner through a stream of classes: train, evaluate and store every step.

    The same command again resumes: from the last finished step, and inside a step from the last checkpoint,
    to the same numbers as an uninterrupted run. Ctrl-C and SIGTERM make such a checkpoint and stop.
    """
    chosen = seeds_of(seed, seeds)
    if chosen != [None] and any(setting.startswith("runtime.seed=") for setting in settings):
        raise UserError("--set runtime.seed: given beside --seed or --seeds; keep one")
    names.refuse_unknown("scenario", scenario, names.scenarios)
    names.refuse_unknown("learner", learner, names.learners)
    names.refuse_unknown("segmenter", segmenter, names.segmenters)
    names.refuse_unknown("schedule", schedule, names.schedules)
    names.refuse_unknown("preset", preset, names.presets)
    from cvis.scenario.spec import find_scenario

    find_scenario(scenario)
    from cvis.engine.resolve import gather, resolve

    options = {
        "runtime.data": data and str(data),
        "runtime.runs": runs and str(runs),
        "protocol.init": init,
        "runtime.device": device,
        "runtime.workers": workers,
        "runtime.launcher": launcher,
        "runtime.on_bad_frame": on_bad_frame,
        "runtime.evaluate": evaluate,
        "runtime.cache_features": cache_features,
        "runtime.deterministic": deterministic or None,
        "runtime.loggers": loggers_of(loggers),
    }
    parts = scenario, learner, segmenter, schedule
    overrides = [[*overrides_of({**options, "runtime.seed": k}), *settings] for k in chosen]
    configs = [resolve(*parts, given, name, preset) for given in overrides]
    if dry_run:
        from cvis.cli.dry_run import show
        from cvis.learners.registry import check_pair
        from cvis.segmenters import SEGMENTERS

        check_pair(configs[0].learner["type"], SEGMENTERS.find(str(configs[0].segmenter.get("type"))))
        show(configs[0], gather(*parts, overrides[0], name, preset)[1])
        return
    log_to_stderr()
    from cvis.engine.run import run as run_stream

    for config in configs:
        typer.echo(run_stream(config, typed(), stop_after))


def overrides_of(options: dict[str, Any]) -> list[str]:
    """``key=value`` of the options that were given; quoted, so that a folder called 1 stays text."""
    return [f"{key}={value!r}" for key, value in options.items() if value is not None]


def loggers_of(names: list[str]) -> list[str] | None:
    """What ``--logger`` chose; None: the configuration decides."""
    if "none" not in names:
        return names or None
    if set(names) != {"none"}:
        raise UserError(f"--logger none: given beside {', '.join(n for n in names if n != 'none')}; keep one")
    return []


def typed() -> str:
    """The command line as it was typed, quoted for a shell: what a run says of how it was made."""
    import shlex
    import sys

    return shlex.join(["cvis", *sys.argv[1:]])


def log_to_stderr() -> None:
    """Progress and messages of the library go to stderr, of the first process only; results go to stdout."""
    import logging
    import os

    first = os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0")) == "0"
    logger = logging.getLogger("cvis")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(logging.INFO if first else logging.WARNING)


def seeds_of(seed: int | None, seeds: str | None) -> list[int | None]:
    if seeds is None:
        return [seed]
    if seed is not None:
        raise UserError("--seed and --seeds: both given; keep one")
    try:
        chosen: list[int | None] = [int(part) for part in seeds.split(",")]
    except ValueError as error:
        raise UserError(f"--seeds {seeds}: is not a list of whole numbers; write for example 0,1,2") from error
    if len(set(chosen)) < len(chosen):
        raise UserError(f"--seeds {seeds}: names a seed twice; one run per seed is made")
    return chosen
