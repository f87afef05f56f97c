"""docs/own_data.md, command by command, on made-up footage."""

from __future__ import annotations

import json
import re
import shlex
import zipfile
from pathlib import Path

import numpy as np
import pytest
from test_readme import SMALL, cvis

from cvis.testing.stream import COLOURS

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "own_data.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
FRAMES, HEIGHT, WIDTH = 20, 32, 64
TOPS = {"red": 2, "green": 12, "blue": 22}


def footage(folder: Path) -> None:
    """Three squares that move to the right, and their outlines in the first and the last frame, as CVAT writes them."""
    from cvis.report.pictures.files import write_mp4

    pictures = np.full((FRAMES, HEIGHT, WIDTH, 3), 20, np.uint8)
    tracks = ""
    for n, (name, top) in enumerate(TOPS.items()):
        shapes = ""
        for t in range(FRAMES):
            left = 4 + 2 * t
            pictures[t, top : top + 8, left : left + 8] = COLOURS[name]
            if t in (0, FRAMES - 1):
                corners = [(left, top), (left + 8, top), (left + 8, top + 8), (left, top + 8)]
                points = ";".join(f"{x}.00,{y}.00" for x, y in corners)
                shapes += f'<polygon frame="{t}" keyframe="1" outside="0" occluded="0" points="{points}"/>'
        tracks += f'<track id="{n}" label="{name}" source="manual">{shapes}</track>'
    write_mp4(pictures, folder / "film.mp4")
    task = f"<task><id>1</id><name>t</name><size>{FRAMES}</size><source>film.mp4</source></task>"
    with zipfile.ZipFile(folder / "task.zip", "w") as export:
        export.writestr("annotations.xml", f"<annotations><meta>{task}</meta>{tracks}</annotations>")


def test_from_a_film_to_a_stream_and_a_film_of_what_is_found(tmp_path, monkeypatch):
    pytest.importorskip("av")
    monkeypatch.chdir(tmp_path)
    footage(tmp_path)
    said = {}
    for command in COMMANDS:
        program, *words = shlex.split(command)
        assert program == "cvis"
        if words[0] == "run":
            words += ["--device", "cpu", *(word for setting in SMALL for word in ("--set", setting))]
        result = cvis(*words)
        assert result.exit_code == 0, result.output
        said[" ".join(words[:2])] = result.stdout
    assert "my-videos: 1 videos, 10 frames, 3 tracks, 3 classes from cvat" in said["data import"]
    assert "0 errors" in said["data check"]
    rows = [line.split()[0] for line in said["compare runs"].splitlines() if line]
    assert {"finetune", "eclipse"} <= set(rows)
    raw = json.loads((tmp_path / "my-videos" / "instances.json").read_text())
    assert [track["areas"] for track in raw["annotations"]] == [[64] * 10] * 3
    assert [box[0] for box in raw["annotations"][0]["bboxes"]] == [4 + 4 * t for t in range(10)]
    for file in ("sheets/train.jpg", "stats.svg", "found.mp4", "results.json"):
        assert (tmp_path / file).stat().st_size > 0
