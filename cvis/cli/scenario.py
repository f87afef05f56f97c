"""``cvis scenario``: the streams that ship, what is in one, and how to make one."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from cvis.cli import names
from cvis.cli.output import Cell, broken, emit_json, examples, show_table
from cvis.errors import UserError

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Show, list and make streams of classes.",
    epilog=examples("cvis scenario list", "cvis scenario show synthetic-20-4"),
)

LIST = examples("cvis scenario list", "cvis scenario list --json")
SHOW = examples(
    "cvis scenario show synthetic-20-4",
    "cvis scenario show ytvis2019-20-2 --data /data/ytvis2019 --json",
    "cvis scenario show my-stream.toml --visibility sequential",
)
MAKE = examples(
    "cvis scenario make --ann instances.json --base 12 --inc 4",
    "cvis scenario make --ann instances.json --base 10 --inc 3,3,2 --order random:7 --out my-stream.toml",
    "cvis scenario make --ann instances.json --base 10 --inc 3 --split frames --visibility sequential",
)


@app.command("list", epilog=LIST)
def list_(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the streams that can be named.

    Those that ship with cvis, and those of installed packages; a broken one with its reason.
    """
    from cvis.scenario.spec import OFFERED, find_scenario, list_scenarios, read_spec

    origins = [*map(OFFERED.origin, [*list_scenarios(), *OFFERED.values()]), *OFFERED.broken()]
    specs = [None if origin.error else read_spec(find_scenario(origin.name)) for origin in origins]
    listed = list(zip(origins, specs, strict=True))
    if as_json:
        emit_json([{**asdict(o), **(s.model_dump(mode="json", exclude_none=True) if s else {})} for o, s in listed])
        return
    rows: list[list[str | Cell]] = []
    for origin, spec in listed:
        fields = (spec.dataset, spec.split, spec.visibility) if spec else ("", "", "")
        says = spec.description if spec else broken(origin.error)
        rows.append([origin.name, *fields, f"{origin.package} {origin.version}", says])
    show_table(["scenario", "data set", "split", "visibility", "package", "description"], rows, left=6)


@app.command("show", epilog=SHOW)
def show(
    scenario: Annotated[
        str,
        typer.Argument(
            help="A stream of `cvis scenario list`, or a .toml file.",
            autocompletion=names.or_files(names.scenarios, ".toml"),
        ),
    ],
    data: Annotated[Path | None, typer.Option(help="Folder of the data set. Default: $CVIS_DATA/<data set>.")] = None,
    visibility: Annotated[str | None, typer.Option(help="overlap, disjoint or sequential.")] = None,
    split: Annotated[str | None, typer.Option(help="holdout, official-valid, test-file, frames or same.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show a stream step by step.

    Classes, videos, and the instances that are visible and hidden. Hidden instances stand in the pixels of a step's
    videos, but their annotation is withheld.
    """
    from cvis.scenario import describe, load_scenario

    given = {"visibility": visibility, "split": split}
    overrides = {key: value for key, value in given.items() if value is not None}
    content = describe(load_scenario(scenario, data, **overrides))
    if as_json:
        emit_json(content)
    else:
        _show(content)


@app.command("make", epilog=MAKE)
def make(
    ann: Annotated[Path, typer.Option(help="Annotation file in YouTube-VIS format.")],
    base: Annotated[int, typer.Option(help="Number of classes of step 0.")],
    inc: Annotated[str, typer.Option(help="Classes of every later step: 4, or one number per step: 4,3,3.")],
    frames: Annotated[Path | None, typer.Option(help="Folder of the frames. Default: JPEGImages beside --ann.")] = None,
    order: Annotated[
        str, typer.Option(help="file, alphabetical, frequency, random:SEED, or a text file of class names.")
    ] = "file",
    visibility: Annotated[str, typer.Option(help="overlap, disjoint or sequential.")] = "overlap",
    split: Annotated[str, typer.Option(help="holdout, frames, same, or test-file.")] = "holdout",
    exclude: Annotated[str | None, typer.Option(help="Classes to leave out, comma separated names.")] = None,
    test_ann: Annotated[Path | None, typer.Option(help="Annotation file to test on (split test-file).")] = None,
    test_frames: Annotated[Path | None, typer.Option(help="Its frames. Default: those of --frames.")] = None,
    out: Annotated[Path | None, typer.Option(help="The .toml file. Default: named after --ann and the steps.")] = None,
) -> None:
    """Make a stream of any YouTube-VIS-format file, without code."""
    from cvis.scenario import make_scenario

    beside = ann.parent / "JPEGImages"
    fields: dict[str, Any] = {"exclude": [part.strip() for part in exclude.split(",")]} if exclude else {}
    path = make_scenario(
        ann,
        frames or (beside if beside.is_dir() else None),
        base,
        _increment(inc),
        out or Path(f"{ann.stem}-{base}-{inc.replace(',', '-')}.toml"),
        order=order,
        visibility=visibility,
        split=split,
        test_annotations=test_ann,
        test_frames=test_frames,
        **fields,
    )
    if frames is None and not beside.is_dir():
        typer.echo(
            f"no folder {beside}: the stream can be shown and scored, but a run needs frames: --frames", err=True
        )
    typer.echo(f"{path}\ncvis scenario show {path}")


def _increment(text: str) -> int | list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError as error:
        raise UserError(f"--inc {text}: is not a whole number or a list of them; write 4 or 4,3,3") from error
    return numbers[0] if len(numbers) == 1 else numbers


def _show(content: dict[str, Any]) -> None:
    counts = ("train_videos", "test_videos", "visible_instances", "hidden_instances")
    rows: list[list[str | Cell]] = [
        [str(step["step"]), str(len(step["classes"])), *(str(step[name]) for name in counts)]
        for step in content["steps"]
    ]
    title = f"{content['name']}  hash {content['hash'][:12]}"
    show_table(["step", "classes", "train videos", "test videos", "visible", "hidden"], rows, title=title)
    typer.echo()
    for step in content["steps"]:
        typer.echo(f"step {step['step']}: {_names(step['classes'])}")
    if content["classes_without_test"]:
        typer.echo(f"not in the test part, so without AP: {_names(content['classes_without_test'])}")
    choices = ", ".join(f"{key} {content['protocol'][key]}" for key in ("split", "visibility", "other_class_policy"))
    typer.echo(f"\n{choices}\nsplit sha256 {content['split_sha256']}")


def _names(classes: list[dict[str, Any]]) -> str:
    return ", ".join(entry["name"] for entry in classes)
