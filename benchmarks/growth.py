"""How time and memory grow with steps, classes, videos, frames, queries and learners: small models, random weights.

    OMP_NUM_THREADS=1 python benchmarks/growth.py                # prints the table
    OMP_NUM_THREADS=1 python benchmarks/growth.py --update       # writes it, and the plot, to docs

Every point is a process of its own, forked from this one once everything is imported. Time is a processor's, the median
of some calls after one that does not count, as a multiple of the first point's; memory is what the process came to hold
beyond the imports.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import log
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import evaluator_data
import torch
from compare_speed import SEEDS, write_runs
from distillation_cost import make_clip
from PIL import Image
from typer.testing import CliRunner
from video_speed import write_frames

from cvis.atomic import write_text
from cvis.cli.app import app
from cvis.data.track_masks import backend
from cvis.data.videoset import VideoSet
from cvis.engine.environment import peak_memory_mb
from cvis.engine.resolve import resolve
from cvis.evaluation import score_files
from cvis.learners.registry import build_learner
from cvis.report.plots.output import save
from cvis.report.plots.style import COLOURS, MARKERS, PAGE, house_style, legend, new_figure
from cvis.report.region import with_region
from cvis.scenario import Task
from cvis.segmenters import Segmenter, build_segmenter
from cvis.types import Category, Video

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOCS = Path(__file__).parents[1] / "docs"
PLOT = DOCS / "growth.png"
CPU = torch.device("cpu")
SIZE = 64, 96
CALLS, SECONDS = 9, 2.0  # of a point: at most so many calls, and no further one after so long
Work = Callable[[], object]


class Point(NamedTuple):
    seconds: float
    peak_mb: float


@dataclass(frozen=True)
class Axis:
    """What grows, what is then measured, and how: ``prepare(n, folder)`` gives the call that is timed."""

    name: str
    measured: str
    points: tuple[int, ...]
    prepare: Callable[[int, Path], Work]


def frames(n: int, folder: Path) -> Work:
    return predicted(tiny(), n, folder)


def queries(n: int, folder: Path) -> Work:
    return trained(tiny(f"segmenter.num_queries={n}"))


def classes(n: int, folder: Path) -> Work:
    return trained(tiny(classes=n))


def scored_classes(n: int, folder: Path) -> Work:
    annotations, results = evaluator_data.write(folder, videos=50, predictions=10)
    content = json.loads(annotations.read_bytes())
    content["categories"] = [{"id": c, "name": f"class {c}"} for c in range(1, n + 1)]
    annotations.write_text(json.dumps(content))
    return lambda: score_files(annotations, results).summary()


def videos(n: int, folder: Path) -> Work:
    files = evaluator_data.write(folder, videos=n, predictions=10)
    return lambda: score_files(*files).summary()


def steps(n: int, folder: Path) -> Work:
    """``n`` later steps of a class each."""
    config = resolve("synthetic-20-4", "eclipse", "mask2former_tiny")
    learner = build_learner(config.learner, build_segmenter(config.segmenter))
    categories = VideoSet(tuple(Category(c, f"class {c}") for c in range(1, n + 2)), (), {}, "")
    for step in range(n + 1):
        learner.begin_task(Task(step, (step + 1,), tuple(range(1, step + 1)), categories, 0))
    return predicted(learner.eval(), 36, folder)


def learners(n: int, folder: Path) -> Work:
    write_runs(folder, n * SEEDS, learners=n)
    return lambda: CliRunner().invoke(app, ["compare", str(folder)], catch_exceptions=False)


AXES = (
    Axis("frames", "prediction of a video", (9, 36, 144, 576), frames),
    Axis("queries", "a training iteration", (10, 40, 160, 640), queries),
    Axis("classes", "a training iteration", (40, 160, 640, 2560), classes),
    Axis("classes", "scoring 50 videos", (40, 160, 640, 2560), scored_classes),
    Axis("videos", "scoring, 10 predictions each", (40, 160, 640), videos),
    Axis("steps", "ECLIPSE's test of a video", (1, 4, 16, 64), steps),
    Axis("learners", "`cvis compare`, 5 seeds of 11 steps each", (2, 8, 32), learners),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="write the table and the plot to docs")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        os.environ["CVIS_CACHE"] = folder
        backend(), tiny()  # import and compile what is only loaded when it is needed
        found = {axis: [alone(axis.prepare, n) for n in axis.points] for axis in AXES}
    text = table(found)
    print(text)
    if options.update:
        page = DOCS / "performance.md"
        write_text(page, with_region(page, "growth", text)[1])
        save(drawn(found), PLOT)
        Image.open(PLOT).quantize(64).save(PLOT, optimize=True)  # a third of the bytes


def tiny(*overrides: str, classes: int = 40) -> Segmenter:
    model = build_segmenter(resolve("synthetic-20-4", "finetune", "mask2former_tiny", overrides=overrides).segmenter)
    model.add_classes(range(1, classes + 1))
    return model.eval()


def predicted(model: torch.nn.Module, length: int, folder: Path) -> Work:
    write_frames(folder, length, SIZE)
    video = Video(1, "v", *SIZE, tuple(sorted(folder.glob("*.png"))))
    return lambda: model.predict(video)


def trained(model: Segmenter) -> Work:
    clip = make_clip(2, *SIZE)
    return lambda: torch.stack(list(model.losses(clip).values())).sum().backward()


def alone(prepare: Callable[[int, Path], Work], n: int) -> Point:
    """Measure a point in a process of its own."""
    context = get_context("fork")
    answers = context.SimpleQueue()
    process = context.Process(target=lambda: answers.put(measure(prepare, n)))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{prepare.__name__} {n}: exit code {process.exitcode}")
    return answers.get()


def measure(prepare: Callable[[int, Path], Work], n: int) -> Point:
    before = peak_memory_mb(CPU)
    torch.manual_seed(0)
    with TemporaryDirectory() as folder:
        work = prepare(n, Path(folder))
        work()
        begun, times = time.process_time(), []
        while len(times) < CALLS and time.process_time() - begun < SECONDS:
            start = time.process_time()
            work()
            times.append(time.process_time() - start)
    return Point(median(times), peak_memory_mb(CPU) - before)


def table(found: dict[Axis, list[Point]]) -> str:
    lines = ["| | of | time, times the first | memory, MB | grows at last as n to the |", "|---|---|---|---|---|"]
    for axis, points in found.items():
        first = points[0].seconds
        times = ", ".join(f"{rounded(point.seconds / first)}" for point in points)
        memory = ", ".join(f"{point.peak_mb:.0f}" for point in points)
        counts = ", ".join(map(str, axis.points))
        lines.append(f"| {axis.name}: {counts} | {axis.measured} | {times} | {memory} | {exponent(axis, points):.1f} |")
    return "\n".join(lines) + "\n"


def rounded(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio < 10 else f"{ratio:.0f}"


def exponent(axis: Axis, points: list[Point]) -> float:
    """p, where time grew as n^p between the last two points.

    >>> exponent(Axis("", "", (1, 10, 100), frames), [Point(1, 0), Point(2, 0), Point(200, 0)])
    2.0
    """
    return log(points[-1].seconds / points[-2].seconds) / log(axis.points[-1] / axis.points[-2])


@house_style()
def drawn(found: dict[Axis, list[Point]]) -> Figure:
    """Time and memory over how often the first point's number, both scales logarithmic."""
    description = "; ".join(f"{axis.name}, {axis.measured}: as n^{exponent(axis, p):.1f}" for axis, p in found.items())
    figure = new_figure(PAGE, 2.6, "How time and memory grow", description)
    left, right = figure.subplots(1, 2)
    for (axis, points), colour, marker in zip(found.items(), COLOURS, MARKERS, strict=False):
        times = [n / axis.points[0] for n in axis.points]
        look = {"color": colour, "marker": marker, "label": f"{axis.name}: {axis.measured.replace('`', '')}"}
        left.plot(times, [point.seconds / points[0].seconds for point in points], **look)
        right.plot(times, [max(point.peak_mb, 1) for point in points], **look)
    left.plot([1, 64], [1, 64], color="#BBBBBB", linestyle=":", zorder=0)  # as n
    for panel, what in ((left, "time, times the first"), (right, "memory (MB)")):
        panel.set(xscale="log", yscale="log", xlabel="n, times the first", ylabel=what)
        panel.minorticks_off()
        panel.set_xticks([1, 4, 16, 64])
        panel.xaxis.set_major_formatter("{x:g}")
        panel.yaxis.set_major_formatter("{x:g}")
    legend(figure, [left, right])
    return figure


if __name__ == "__main__":
    main()
