"""``cvis predict``: a trained run on the user's own videos."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cvis.cli.output import check_score, emit_json, examples, show_table
from cvis.errors import UserError

if TYPE_CHECKING:
    from cvis.engine.predict import TrainedRun
    from cvis.types import Tracks, Video

EXAMPLES = examples(
    "cvis predict runs/synthetic-20-4/mask2former_tiny/finetune/seed0 street.mp4 --visualize seen.mp4",
    "cvis predict runs/synthetic-20-4/mask2former_tiny/finetune/seed0 JPEGImages/0001 JPEGImages/0002",
    "cvis predict runs/synthetic-20-4/mask2former_tiny/finetune/seed0 street.mp4 --every 5 --step 0 --out base.json.gz",
    "cvis predict runs/synthetic-20-4/mask2former_tiny/finetune/seed0 long.mp4 --set segmenter.test.tracking=queries",
)


def predict(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run.")],
    videos: Annotated[
        list[Path], typer.Argument(metavar="VIDEO...", help="Videos (.mp4, ..) or folders of frames, in any mixture.")
    ],
    step: Annotated[int | None, typer.Option(help="The model after this step. Default: the last.")] = None,
    out: Annotated[
        Path, typer.Option(help="The results, .json or .json.gz; the videos are listed in a file beside it.")
    ] = Path("results.json"),
    visualize: Annotated[
        Path | None, typer.Option(help="Also draw them: .mp4, .png or .jpg; of several videos, one file each.")
    ] = None,
    min_score: Annotated[float, typer.Option(help="Predictions below it are not drawn, nor listed.")] = 0.3,
    every: Annotated[int, typer.Option(help="Use every n-th frame only. YouTube-VIS has about 6 frames a second.")] = 1,
    fps: Annotated[float, typer.Option(help="Frames a second of --visualize.")] = 6.0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", help="Other ways to look at videos than the run's, as segmenter.test.tracking=queries."),
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Run the Python file that the run names as its learner or segmenter.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find the classes of a trained run in your own videos; writes YouTube-VIS results.

    The data set that the run was trained on is not needed.
    """
    check_score(min_score)
    _check(out, visualize)
    from cvis.data.footage import footage
    from cvis.engine.predict import load_trained
    from cvis.evaluation import write_results

    trained = load_trained(run, step, device, trust, overrides or ())  # first: what is wrong with it is found soonest
    with footage(videos, every) as opened:
        results = trained.predict(opened)
        write_results(out, results)
        _write_listing(out, opened, videos, every, trained)
        if visualize is not None:
            _draw(trained, opened, results, visualize, min_score, fps)
    _show(trained, opened, results, out, min_score, as_json)


def _check(out: Path, visualize: Path | None) -> None:
    if not out.name.endswith((".json", ".json.gz")):
        raise UserError(f"--out {out}: {out.suffix!r}: not a results file; end the name in .json or .json.gz")
    if out.is_dir():
        raise UserError(f"--out {out}: is a folder; give the name of a file")
    if visualize is not None:
        from cvis.report.pictures.files import check_format

        check_format(visualize, "--visualize")


def _listing(out: Path) -> Path:
    """``results.json.gz`` -> ``results.videos.json``."""
    return out.with_name(out.name.removesuffix(".gz").removesuffix(".json") + ".videos.json")


def _write_listing(
    out: Path, videos: Sequence[Video], sources: Sequence[Path], every: int, trained: TrainedRun
) -> None:
    """Which video an id of the results means, in the layout of a YouTube-VIS file without annotations."""
    from cvis.atomic import write_text

    entries = [
        {"id": v.id, "name": v.name, "source": str(source), "width": v.width, "height": v.height, "length": len(v)}
        for v, source in zip(videos, sources, strict=True)
    ]
    categories = [{"id": c, "name": name} for c, name in trained.classes.items()]
    origin = {"run": str(trained.folder), "step": trained.step, "every": every, "set": list(trained.overrides)}
    listing = {"info": origin, "videos": entries, "categories": categories}
    write_text(_listing(out), json.dumps(listing, indent=1) + "\n")


def _draw(
    trained: TrainedRun, videos: Sequence[Video], results: Sequence[Tracks], path: Path, min_score: float, fps: float
) -> None:
    from cvis.report.pictures.files import write_panels
    from cvis.report.pictures.panels import Panels, predicted_panel

    for video, tracks in zip(videos, results, strict=True):
        file = path if len(videos) == 1 else path.with_name(f"{path.stem}-{video.name}{path.suffix}")
        title = f"step {trained.step}: {len(trained.classes)} classes"
        panel = predicted_panel(title, tracks, trained.classes, min_score)
        heading = f"{trained.name}  {video.name}  scores ≥ {min_score:g}"
        write_panels(Panels(video, (panel,), heading), file, fps)


def _show(
    trained: TrainedRun, videos: Sequence[Video], results: Sequence[Tracks], out: Path, min_score: float, as_json: bool
) -> None:
    rows: list[dict[str, Any]] = []
    for video, tracks in zip(videos, results, strict=True):
        sure = [c for c, score in zip(tracks.category_ids, tracks.scores, strict=True) if score >= min_score]
        counts = {trained.classes[c]: n for c, n in Counter(sure).most_common()}
        below = len(tracks.scores) - len(sure)
        seen = {"id": video.id, "name": video.name, "frames": len(video), "tracks": len(sure), "below": below}
        rows.append({**seen, "classes": counts})
    if as_json:
        emit_json({"schema": 1, "step": trained.step, "min_score": min_score, "out": str(out), "videos": rows})
        return
    cells = []
    for row in rows:
        classes = ", ".join(f"{n} {name}" for name, n in row["classes"].items())
        cells.append([row["name"], classes or "-", *(str(row[key]) for key in ("id", "frames", "tracks", "below"))])
    show_table(["video", f"found (scores ≥ {min_score:g})", "id", "frames", "tracks", "below"], cells, left=2)
    if hidden := sum(row["below"] for row in rows):
        best = max(score for tracks in results for score in tracks.scores if score < min_score)
        rounded = math.floor(100 * best) / 100  # downwards: what lies below 0.3 is not at 0.30
        typer.echo(f"\n{hidden} tracks lie below {min_score:g}, the best at {rounded:.2f}: --min-score shows them.")
    typer.echo(f"\n{out}, videos in {_listing(out)}")
