"""``cvis data frames``, ``import``, ``merge``, ``subset`` and ``stats``: data of the user's own, without code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cvis.cli import names
from cvis.cli.output import Cell, emit_json, examples, show_table, status
from cvis.errors import UserError, escaped

if TYPE_CHECKING:
    from cvis.data.check import Report
    from cvis.data.stats import Stats
    from cvis.data.videoset import VideoSet

EXAMPLES = {
    "frames": examples(
        "cvis data frames film.mp4 --fps 6 --out to-label", "cvis data frames a.mp4 b.mp4 --every 5 --out to-label"
    ),
    "import": examples(
        "cvis data import annotations.xml --frames film.mp4 --out my-videos",
        "cvis data import export.zip --out my-images",
        "cvis data import labelled --from labelme --out my-videos",
        "cvis data import Annotations/480p --from davis --frames JPEGImages/480p --classes meta.json --out my-videos",
        "cvis data import instances_val.json --from coco --frames val2017 --out my-images",
    ),
    "merge": examples("cvis data merge street harbour --out both", "cvis data merge a.json b --out both --copy"),
    "subset": examples(
        "cvis data subset my-videos --classes car,bicycle --out wheels",
        "cvis data subset my-videos --videos 3,walk --out two",
        "cvis data subset /data/ytvis2019 --share 0.1 --seed 1 --out tenth",
    ),
    "stats": examples(
        "cvis data stats my-videos", "cvis data stats test.json --json", "cvis data stats my-videos --plot stats.svg"
    ),
}

Out = Annotated[Path, typer.Option(help="The folder to make: instances.json and JPEGImages.")]
Copy = Annotated[bool, typer.Option("--copy", help="Copy frames. Default: links to where they are.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def frames(
    videos: Annotated[list[Path], typer.Argument(metavar="VIDEO...", help="Video files.")],
    out: Annotated[Path, typer.Option(help="The folder to make, with a folder of JPEGs for each video.")],
    every: Annotated[int, typer.Option(help="Use every n-th frame only.")] = 1,
    fps: Annotated[
        float | None, typer.Option(help="Use so many frames a second only; YouTube-VIS has about 6.")
    ] = None,
) -> None:
    """Take frames out of videos.

    For annotating them with a tool that wants pictures.
    """
    from cvis.data.footage import extract

    with status("reading videos"):
        counts = extract(videos, out, every, fps)
    for name, count in counts.items():
        typer.echo(f"{out / name}: {count} frames")


def import_(
    path: Annotated[Path, typer.Argument(help="The annotations: a file, a folder, or a .zip of either.")],
    out: Out,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="coco, coco-video, cvat, davis, labelme, mots or ytvis. Default: what it looks like.",
            autocompletion=names.formats,
        ),
    ] = None,
    frames: Annotated[
        Path | None,
        typer.Option(help="A video file, a folder of frames, or a folder of these. Default: beside the annotations."),
    ] = None,
    every: Annotated[int, typer.Option(help="Keep every n-th annotated frame only.")] = 1,
    classes: Annotated[
        Path | None,
        typer.Option(help="JSON file of names for numbers: {video: {object: class}} (davis), {class: name} (mots)."),
    ] = None,
    copy: Copy = False,
    as_json: AsJson = False,
) -> None:
    """Make a set of other tools' annotations.

    It has the format of YouTube-VIS; what had no place in that is listed. Objects keep their identity. Each image of
    COCO becomes a video of one frame.
    """
    from cvis.data.formats import import_data

    with status(f"reading {path}"):
        made = import_data(path, out, from_, frames, every, copy, classes)
    skipped = [{"file": file, "what": what, "count": n} for (file, what), n in sorted(made.skipped.items())]
    if as_json:
        emit_json({"schema": 1, "from": made.format, "out": str(out), **_counts(made.videos), "skipped": skipped})
        return
    if skipped:
        rows: list[list[str | Cell]] = [
            [escaped(str(s["file"])), escaped(str(s["what"])), str(s["count"])] for s in skipped
        ]
        show_table(["file", "without a place", "times"], rows, left=2)
        typer.echo()
    _made(out, made.videos, f" from {made.format}")


def merge(
    sets: Annotated[list[Path], typer.Argument(metavar="SET...", help="Folders of data sets, or annotation files.")],
    out: Out,
    copy: Copy = False,
) -> None:
    """Make one set of several. Classes of one name are one class."""
    from cvis.data.guess import open_own
    from cvis.data.merge import merge as merge_sets

    _write(merge_sets([open_own(path) for path in sets]), out, copy)


def subset(
    path: Annotated[Path, typer.Argument(metavar="SET", help="The folder of a data set, or an annotation file.")],
    out: Out,
    classes: Annotated[str | None, typer.Option(help="Only these, comma separated names.")] = None,
    videos: Annotated[str | None, typer.Option(help="Only these, comma separated names or ids.")] = None,
    share: Annotated[float, typer.Option(help="Of the videos, drawn at random.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of --share. Equal seeds draw equal videos, on every machine.")] = 0,
    copy: Copy = False,
) -> None:
    """Make a set of a part of one.

    Some classes, some videos, or a share of the videos.
    """
    from cvis.data.guess import open_own
    from cvis.data.merge import subset as part

    _write(part(open_own(path), _words(classes), _words(videos), share, seed), out, copy)


def stats(
    path: Annotated[Path, typer.Argument(metavar="SET", help="The folder of a data set, or an annotation file.")],
    plot: Annotated[Path | None, typer.Option(help="Also draw it: .svg, .pdf or .png.")] = None,
    as_json: AsJson = False,
) -> None:
    """Count what is in a set.

    Tracks, lengths, sizes, classes, and which classes come together.
    """
    from cvis.data.guess import open_own
    from cvis.data.stats import stats as count

    if plot is not None:
        from cvis.report.plots.output import check_format

        check_format(plot, "--plot")
    counted = count(open_own(path))
    if plot is not None:
        from cvis.report.data_plot import plot_stats

        plot_stats(counted, plot, path.resolve().stem)
    if as_json:
        emit_json({"schema": 1, **counted.to_json()})
    else:
        _show(counted)


COMMANDS: dict[str, Callable[..., None]] = {
    "frames": frames,
    "import": import_,
    "merge": merge,
    "subset": subset,
    "stats": stats,
}


def draw_sheets(report: Report, folder: Path) -> list[Path]:
    """A contact sheet of each part that can be read; says which cannot."""
    from cvis.data.datasets import known
    from cvis.data.ytvis import read_ytvis
    from cvis.report.pictures.sheet import write_sheet

    drawn = []
    for part in report.scorable:
        annotations, frames = known(report.dataset).find(report.root, part)
        try:
            if annotations is not None and frames is not None:
                drawn.append(write_sheet(read_ytvis(annotations, frames), folder / f"{part}.jpg"))
        except UserError as error:
            typer.echo(f"no picture of {part}: {escaped(str(error))}", err=True)
    return drawn


def _words(text: str | None) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()] if text else []


def _write(videos: VideoSet, out: Path, copy: bool) -> None:
    from cvis.atomic import atomic_folder
    from cvis.data.write import write_set

    with atomic_folder(out) as folder:
        write_set(videos, folder, copy)
    _made(out, videos)


def _counts(videos: VideoSet) -> dict[str, int]:
    frames = sum(map(len, videos.videos))
    used = len({track.category_id for track in videos.all_tracks})
    return {"videos": len(videos), "frames": frames, "tracks": videos.num_tracks, "classes": used}


def _made(out: Path, videos: VideoSet, how: str = "") -> None:
    typer.echo(f"{out}: " + ", ".join(f"{n} {what}" for what, n in _counts(videos).items()) + how)
    typer.echo(f"cvis data check {out} --pictures {out}-pictures")


def _show(counted: Stats) -> None:
    rows: list[list[str | Cell]] = []
    for i, of in sorted(enumerate(counted.classes), key=lambda pair: -pair[1].tracks):
        if not of.tracks:
            continue
        companion = counted.companion(i)
        often = f"{companion[0]} ({companion[1]})" if companion else "-"
        numbers = (of.videos, of.tracks, of.masks)
        length, area = f"{of.length or 0:g}", f"{100 * (of.area or 0):.2f} %"
        rows.append([of.name, often, *map(str, numbers), length, area, *map(str, of.sizes)])
    headings = ["class", "most often with", "videos", "tracks", "masks", "frames", "area", "small", "medium", "large"]
    show_table(headings, rows, left=2)
    without = sum(not of.tracks for of in counted.classes)
    lengths = _range(Counter(counted.lengths))
    sizes = ", ".join(f"{size} ({n})" for size, n in list(counted.sizes.items())[:4])
    more = f" and {len(counted.sizes) - 4} more" if len(counted.sizes) > 4 else ""
    typer.echo(f"\n{counted.videos} videos of {lengths} frames, {counted.frames} in all; {sizes}{more}")
    typer.echo(
        "frames, area: in which a track is seen, and of its masks in the frame; medians. Sizes as of APs, APm, APl."
    )
    if without:
        typer.echo(f"Not shown: {without} classes without a track.")
    if counted.empty:
        typer.echo(f"{counted.empty} videos have no track.")


def _range(lengths: Counter[int]) -> str:
    least, most = min(lengths, default=0), max(lengths, default=0)
    return str(least) if least == most else f"{least} to {most}"
