"""``cvis data``: check a data set, split it, make the synthetic one, make videos of images."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cvis.cli import names, own_data, pseudo_videos
from cvis.cli.output import Cell, broken, emit_json, examples, progress, show_table

if TYPE_CHECKING:
    from cvis.data.check import Report

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="List, check, split, import or make data sets.",
    epilog=examples(
        "cvis data list",
        "cvis data check /data/ytvis2019",
        "cvis data import annotations.xml --frames film.mp4 --out mine",
    ),
)

LIST = examples("cvis data list", "cvis data list --json")
CHECK = examples(
    "cvis data check /data/ytvis2019",
    "cvis data check /data/ovis --dataset ovis --json",
    "cvis data check my-videos --pictures sheets",
)
SPLIT = examples(
    "cvis data split --ann /data/ytvis2019/train.json",
    "cvis data split --ann train.json --fraction 0.1 --out split.json",
)
SYNTH = examples(
    "cvis data synth synthetic",
    "cvis data synth tiny --seed 1 --train 40 --test 10",
    "cvis data synth long --train 1 --test 1 --crossings 2000",
    "cvis data synth motion --world motion",
)


@app.command("check", epilog=CHECK)
def check(
    root: Annotated[Path, typer.Argument(help="The data set's folder.")],
    dataset: Annotated[
        str | None,
        typer.Option(
            help="Its name, such as ytvis2019. Default: told by its classes; custom if no other.",
            autocompletion=names.datasets,
        ),
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Draw annotated frames into this folder, a sheet a part.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check a data set and its frames.

    Layout, ids, masks, and whether every frame opens. Exit code 1 if an error was found.
    """
    from cvis.data.check import check as check_data
    from cvis.data.guess import guess

    root = root.expanduser()
    with progress("frames") as update:
        report = check_data(root, dataset or guess(root), update)
    drawn = own_data.draw_sheets(report, pictures) if pictures else []
    if as_json:
        emit_json({**report.to_json(), "pictures": [str(path) for path in drawn]})
    else:
        _show(report)
        for path in drawn:
            typer.echo(path)
    if not report.ok:
        raise typer.Exit(1)


@app.command("list", epilog=LIST)
def list_(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the data sets that cvis knows.

    Those of installed packages too; a broken one with its reason.
    """
    from cvis.data.datasets import DATASETS, OFFERED

    known = {**DATASETS, **OFFERED.values()}
    listed = [(origin, known[origin.name]) for origin in map(OFFERED.origin, known)]
    if as_json:
        facts = [{**asdict(o), "title": d.title, "source": d.source, "classes": list(d.categories)} for o, d in listed]
        emit_json([*facts, *map(asdict, OFFERED.broken())])
        return
    rows: list[list[str | Cell]] = [[o.name, f"{o.package} {o.version}", d.title, d.source] for o, d in listed]
    rows += [[o.name, f"{o.package} {o.version}", broken(o.error), ""] for o in OFFERED.broken()]
    show_table(["data set", "package", "", "source"], rows, left=4)


@app.command("split", epilog=SPLIT)
def split(
    ann: Annotated[Path, typer.Option(help="Annotation file in YouTube-VIS format.")],
    fraction: Annotated[float, typer.Option(help="Of the videos, to test on.")] = 0.2,
    out: Annotated[Path | None, typer.Option(help="Write the video ids to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the video ids as JSON.")] = False,
) -> None:
    """Make the held-out split.

    It is stratified by class, and a pure function of the annotation file, under checksum.
    """
    from cvis.data.split import make_split

    made = make_split(ann, out, fraction)
    if as_json:
        emit_json({"train": list(made.train), "test": list(made.test), "sha256": made.sha256})
        return
    typer.echo(f"{len(made.train)} train videos, {len(made.test)} test videos, sha256 {made.sha256}")


@app.command("synth", epilog=SYNTH)
def synth(
    root: Annotated[Path, typer.Argument(help="The folder to make.")],
    seed: Annotated[int, typer.Option(help="Equal seeds give equal bytes.")] = 0,
    train: Annotated[int, typer.Option(help="Number of train videos.")] = 600,
    test: Annotated[int, typer.Option(help="Number of test videos.")] = 160,
    crossings: Annotated[
        int, typer.Option(help="Test videos of so many frames, whose objects cross, leave and come back.")
    ] = 0,
    world: Annotated[
        str, typer.Option(help="What classes are named by: texture (and shape), shape, or motion.")
    ] = "texture",
) -> None:
    """Make the synthetic data set.

    40 classes of moving shapes, in the format of YouTube-VIS.
    """
    from cvis.data.synthetic import make_synthetic

    make_synthetic(root, seed, train_videos=train, test_videos=test, crossings=crossings, world=world)
    typer.echo(f"{root}: {train} train videos, {test} test videos, seed {seed}")


for name, command in own_data.COMMANDS.items():
    app.command(name, epilog=own_data.EXAMPLES[name])(command)
app.command("pseudo-videos", epilog=pseudo_videos.EXAMPLES)(pseudo_videos.pseudo_videos)


def _show(report: Report) -> None:
    counts = []
    for part, c in report.counts.items():
        numbers = (str(n) for n in (c.videos, c.frames, c.tracks, c.categories))
        counts.append([part, *numbers, "yes" if part in report.scorable else "no"])
    if counts:
        title = f"{report.dataset}: {report.root}"
        show_table(["part", "videos", "frames", "tracks", "categories", "scorable"], counts, title=title)
    colours = {"error": "red", "warning": "yellow"}
    problems: list[list[str | Cell]] = [
        [Cell(p.severity, style=colours[p.severity]), p.file, p.field, p.value, p.what, p.remedy]
        for p in report.problems
    ]
    errors = sum(p.severity == "error" for p in report.problems)
    if problems:
        typer.echo()
        show_table(["", "file", "field", "value", "problem", "remedy"], problems, left=6)
    typer.echo(f"\n{errors} errors, {len(problems) - errors} warnings")
