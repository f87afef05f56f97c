"""The curves of the documentation, drawn as SVG from the tables of REPRODUCIBILITY.md: text takes the page's colour."""

from __future__ import annotations

import re
from pathlib import Path

RECORD = Path(__file__).resolve().parents[1] / "REPRODUCIBILITY.md"
COLOURS = {
    "ANCHOR": "#a8321a",
    "ANCHOR without outlines": "#e4572e",
    "Eclipse with analytic head": "#d99000",
    "eclipse": "#4c78d8",
    "replay": "#2aa198",
}
"""Of the rows to look at; the others are grey."""
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 340, 34, 206, 14, 40


def base_map() -> str:
    """mAP of the base classes after every step, mean over the seeds, of every learner."""
    rows = table("Mean mAP base")
    steps = max(len(values) for values in rows.values())
    ends = spread({name: y(values[-1]) for name, values in rows.items()}, 13)
    parts = [f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(v)}" y2="{y(v)}" class="grid"/>' for v in range(0, 81, 20)]
    parts += [f'<text x="{LEFT - 8}" y="{y(v) + 4}" text-anchor="end">{v}</text>' for v in range(0, 81, 20)]
    parts += [
        f'<text x="{x(s, steps)}" y="{HEIGHT - 16}" text-anchor="middle">{"step " * (not s)}{s}</text>'
        for s in range(steps)
    ]
    for name, values in rows.items():
        colour, width = (COLOURS[name], 2.6) if name in COLOURS else ("#8a8f98", 1.4)
        points = " ".join(f"{x(s, steps)},{y(value)}" for s, value in enumerate(values))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width}"/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 8}" y="{ends[name] + 5}" fill="{colour}">{name}</text>')
    alt = "mAP of the base classes after every step of synthetic-20-4, for every learner"
    head = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{alt}" class="figure">'
    return head + "".join(parts) + "</svg>"


def table(beginning: str) -> dict[str, list[float]]:
    """The numbers of each row of the first table behind the line that begins so."""
    text = RECORD.read_text(encoding="utf-8")
    lines = text[text.index(f"\n{beginning}") :].split("\n|", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    cells = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return {_label(name): [float(value) for value in values] for name, *values in cells}


def _label(name: str) -> str:
    """What a row is called in tables, in short.

    >>> _label("comformer, CoMFormer (as published)"), _label("CoMBO (re-implementation from the paper)")
    ('CoMFormer (as published)', 'CoMBO')
    """
    return re.sub(r" \[.*?\]| \(re-.*", "", name.rpartition(", ")[2])


def spread(places: dict[str, float], apart: float) -> dict[str, float]:
    """The places of labels, moved down where two would lie on one another, and up again where that leaves the figure.

    >>> spread({"a": 10, "b": 12, "c": 40}, 10)
    {'a': 10, 'b': 20, 'c': 40}
    """
    moved: dict[str, float] = {}
    for name, place in sorted(places.items(), key=lambda item: item[1]):
        moved[name] = max(place, max(moved.values(), default=place - apart) + apart)
    lowest = HEIGHT - BOTTOM
    for name in reversed(moved):
        moved[name] = min(moved[name], lowest)
        lowest = min(moved[name], lowest) - apart
    return moved


def x(step: int, steps: int) -> float:
    return round(LEFT + step * (WIDTH - LEFT - RIGHT) / (steps - 1), 1)


def y(value: float) -> float:
    return round(HEIGHT - BOTTOM - value * (HEIGHT - BOTTOM - TOP) / 80, 1)
