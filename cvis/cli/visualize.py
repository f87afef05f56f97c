"""``cvis visualize``: what each step of a run predicted on a test video."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cvis.cli.output import check_score, emit_json, examples, show_table
from cvis.errors import UserError

if TYPE_CHECKING:
    from cvis.report.pictures.recorded import Recorded

EXAMPLES = examples(
    "cvis visualize runs/synthetic-20-4/mask2former_tiny/finetune/seed0 --list",
    "cvis visualize runs/synthetic-20-4/mask2former_tiny/finetune/seed0 --video 7",
    "cvis visualize runs/synthetic-20-4/mask2former_tiny/finetune/seed0 --video 7 --step 0 --step 5 --out forgot.png",
)


def visualize(
    run: Annotated[Path, typer.Argument(help="The folder of a run, or its bundle; of an unfinished one, its steps.")],
    video: Annotated[str | None, typer.Option(help="A test video, by id or name; see --list.")] = None,
    step: Annotated[list[int] | None, typer.Option(help="Only this step; may be repeated. Default: all.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="A video (.mp4) or a contact sheet (.png, .jpg). Default: an .mp4 in this folder."),
    ] = None,
    min_score: Annotated[float, typer.Option(help="Leave out predictions below it.")] = 0.3,
    data: Annotated[Path | None, typer.Option(help="The folder of the data set, if it has moved.")] = None,
    fps: Annotated[float, typer.Option(help="Frames a second.")] = 6.0,
    listing: Annotated[bool, typer.Option("--list", help="List the test videos and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Draw what each step of a run predicted on a test video, beside the ground truth.

    An object has one colour in all panels: that of the ground-truth track with a video IoU of at least 0.5. Of
    several predictions of one step for one object the surest is drawn: "cat 0.82 +2" hides two others.
    """
    from cvis.report.pictures.files import check_format, write_panels
    from cvis.report.pictures.recorded import open_recorded

    check_score(min_score)
    if video is None and not listing:
        raise UserError("--video: missing: give the id or name of a test video; --list shows them")
    if video is not None and Path(video).exists() and not video.isdecimal():
        raise UserError(
            f"--video {video}: a file or folder; for your own videos: cvis predict {run} {video} --visualize FILE.mp4"
        )
    if out is not None:
        check_format(out)
    recorded = open_recorded(run, data)
    if listing or video is None:
        _list(recorded, as_json)
        return
    panels = recorded.panels(video, step, min_score)
    parts = (recorded.scenario, *recorded.run.folder.path.resolve().parts[-2:], panels.video.name)
    path = out or Path(re.sub(r"[^\w.+-]+", "_", "-".join(parts))).with_suffix(".mp4")
    write_panels(panels, path, fps)
    if as_json:
        titles = [panel.title for panel in panels.columns]
        emit_json({"schema": 1, "video": panels.video.id, "panels": titles, "out": str(path)})
    else:
        typer.echo(path)


def _list(recorded: Recorded, as_json: bool) -> None:
    names = {category.id: category.name for category in recorded.test.categories}
    rows: list[dict[str, Any]] = []
    for video in recorded.test.videos:
        tracks = recorded.test.tracks[video.id]
        row = {"id": video.id, "name": video.name, "frames": len(video), "tracks": len(tracks)}
        rows.append({**row, "classes": list(dict.fromkeys(names[track.category_id] for track in tracks))})
    if as_json:
        steps = list(range(len(recorded.run.learned)))
        emit_json({"schema": 1, "scenario": recorded.scenario, "steps": steps, "videos": rows})
        return
    cells = [[r["name"], ", ".join(r["classes"]), str(r["id"]), str(r["frames"]), str(r["tracks"])] for r in rows]
    show_table(["video", "classes", "id", "frames", "tracks"], cells, left=2, title=recorded.scenario)
