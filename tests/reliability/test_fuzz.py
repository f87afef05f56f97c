"""Readers and the evaluator on files spoiled at random: a UserError or a number that can be one, nothing else.

``CVIS_FUZZ`` is the number of inputs of each test, 150 by default; ``record_property`` counts those that were tried.
"""

from __future__ import annotations

import copy
import gzip
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import foreign_files as foreign
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco
from run_folders import write_run
from small_files import annotations, results

from cvis.data.formats import import_data
from cvis.data.rle import RLEError, read_segmentation
from cvis.data.schema import parse
from cvis.data.ytvis import decode, read_ytvis
from cvis.errors import Problem, UserError
from cvis.evaluation.ap import VideoAP, score_files
from cvis.evaluation.results import stream_results
from cvis.runs.metrics_file import read_run

INPUTS = int(os.environ.get("CVIS_FUZZ", "150"))
bounded = settings(
    max_examples=INPUTS, deadline=None, database=None, derandomize="CVIS_FUZZ" not in os.environ,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip

EXTREME = (
    -1,
    0,
    1,
    2**31,
    2**63,
    10**30,
    0.5,
    1e308,
    float("nan"),
    float("-inf"),
    "",
    "\0",
    "\ud800",
    "\u202e",
    "../x",
)
ATOMS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from(EXTREME)
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


def places(content: Any) -> list[tuple[Any, Any]]:
    """Every value in it, as what holds it and its key there."""
    keys = content.keys() if isinstance(content, dict) else range(len(content)) if isinstance(content, list) else ()
    return [place for key in keys for place in ((content, key), *places(content[key]))]


@st.composite
def spoiled(draw: Any, valid: Any) -> bytes:
    """A few values replaced, removed or put elsewhere; in some of the texts bytes too, and some packed."""
    content = copy.deepcopy(valid)
    for _ in range(draw(st.integers(0, 3))):
        holder, key = draw(st.sampled_from(places(content) or [([0], 0)]))
        action = draw(st.sampled_from(["replace", "replace", "remove", "move"]))
        if action == "remove":
            del holder[key]
        elif action == "move":
            other, its = draw(st.sampled_from(places(valid)))
            holder[key] = copy.deepcopy(other[its])
        else:
            holder[key] = draw(VALUES)
    text = json.dumps(content).encode()
    if draw(st.booleans()):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.binary(max_size=3)) + text[at + draw(st.integers(0, 3)) :]
    if draw(st.integers(0, 4)) == 0:
        text = gzip.compress(text, 1)[: draw(st.integers(10, 2000))]
    return text


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "instances.json").write_text(json.dumps(annotations()))
    (folder / "results.json").write_text(json.dumps(results()))
    return folder


@pytest.fixture
def tried(record_property):
    """Counts what was tried."""
    count: list[bytes] = []
    yield count
    assert len(count) >= min(INPUTS, 50)
    record_property("inputs", len(count))


@st.composite
def spoiled_text(draw: Any, valid: str) -> bytes:
    """A few numbers replaced by others, or parts of it put elsewhere, and in some of the texts bytes too."""
    for _ in range(draw(st.integers(0, 3))):
        numbers = list(re.finditer(r"-?[0-9.]+", valid))
        number = draw(st.sampled_from(numbers))
        other = draw(st.sampled_from([*(str(value) for value in EXTREME), draw(st.sampled_from(numbers)).group()]))
        valid = valid[: number.start()] + other + valid[number.end() :]
    text = valid.encode("utf-8", "surrogatepass")
    if draw(st.booleans()):
        at, stop = sorted(draw(st.tuples(*[st.integers(0, len(text))] * 2)))
        text = text[:at] + draw(st.binary(max_size=3)) + text[draw(st.sampled_from([at, at + 1, stop])) :]
    return text


def refusal(error: UserError, path: Path) -> None:
    assert str(path.name) in str(error)
    assert len(str(error)) < 1000


def test_annotations(folder, tried):
    """Annotation files spoiled at random: one line that names file and field, or the same content."""
    path = folder / "spoiled.json"

    @bounded
    @given(spoiled(annotations()))
    def fuzz(data: bytes) -> None:
        tried.append(data)
        path.write_bytes(data)
        found: list[Problem] = []  # by the checker, which goes on behind each
        try:
            parse(decode(data, path), path, "", found.append)
            videos = read_ytvis(path, None, cache=False)
            result = score_files(path, folder / "empty.json") if videos.categories else None
        except UserError as error:
            assert not found or "error" in {problem.severity for problem in found}
            return refusal(error, path)
        assert "error" not in {problem.severity for problem in found}
        for track in videos.all_tracks:
            video = videos.by_id[track.video_id]
            assert len(track.segmentations) == len(video)
            assert all(m is None or coco.decode(m).shape == (video.height, video.width) for m in track.segmentations)
        assert result is None or result.summary()["mAP"] in (0, None)
        return None

    (folder / "empty.json").write_text("[]")
    fuzz()


def test_results(folder, tried):
    """Results files spoiled at random: one line, or the numbers of what is left."""
    path = folder / "spoiled.json"
    truth = read_ytvis(folder / "instances.json", None, cache=False)

    @bounded
    @given(spoiled(results()))
    def fuzz(data: bytes) -> None:
        tried.append(data)
        path.write_bytes(data)
        metric, whole = VideoAP(truth), 0
        try:
            for _, tracks in stream_results(path, truth):
                metric.extend(tracks, lambda n: f"{path}: entry {n}")
                whole += len(tracks)
        except UserError as error:
            return refusal(error, path)
        text = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        assert whole == len(json.loads(text)), "an entry was lost"
        assert all(value is None or 0 <= value <= 100 for value in metric.result().summary().values())
        return None

    fuzz()


def test_metrics(folder, tried):
    """metrics.json spoiled at random: one line, or a table."""
    path = write_run(folder) / "metrics.json"
    valid = json.loads(path.read_text())

    @bounded
    @given(spoiled(valid))
    def fuzz(data: bytes) -> None:
        tried.append(data)
        path.write_bytes(data)
        try:
            run = read_run(path)
        except UserError as error:
            return refusal(error, path)
        value = run.final.get("mAP")
        assert value is None or np.isfinite(value)
        return None

    fuzz()


def test_masks(tried):
    """Masks at random: one line, or what pycocotools makes of them, which would decode anything."""
    counts = st.text("0123456789:;<=>?@PQRSTUVWXYZ[\\]^_`abco", max_size=8) | st.lists(st.integers(-2, 25), max_size=5)
    points = st.floats(-30, 30) | st.integers(-8, 12)
    polygons = st.lists(st.lists(points, min_size=5, max_size=9), min_size=1, max_size=2)
    codes = st.fixed_dictionaries({"size": st.just([4, 6]) | st.lists(st.integers(0, 6)), "counts": counts})

    @bounded
    @given(codes | polygons | VALUES)
    @example({"size": [4, 6], "counts": "0h0"})
    def fuzz(segmentation: Any) -> None:
        tried.append(segmentation)
        try:
            code, area = read_segmentation(segmentation, 4, 6)
        except RLEError:
            return
        decoded = coco.decode(code)
        assert decoded.shape == (4, 6)
        assert decoded.sum() == area
        if isinstance(segmentation, dict) and isinstance(segmentation["counts"], list):
            runs = segmentation["counts"]
            plain = np.repeat(np.arange(len(runs)) % 2, runs).reshape(6, 4).T
            assert np.array_equal(decoded, plain)

    fuzz()


@pytest.mark.parametrize("tool", ["coco-video", "labelme", "cvat", "mots"])
def test_annotations_of_other_tools(tool, tmp_path_factory, tried):
    """Spoiled at random: one line, and nothing is left; or a set that can be read."""
    root = tmp_path_factory.mktemp("tools")
    frames = foreign.frames(root)
    writers = {
        "coco-video": foreign.coco_video,
        "labelme": foreign.labelme,
        "cvat": foreign.cvat,
        "mots": foreign.mots_txt,
    }
    path = writers[tool](root)
    file = min(path.rglob("*.[jt][sx][ot]*")) if path.is_dir() else path
    valid = file.read_text()
    names = root / "names.json"
    names.write_text('{"1": "car", "2": "dog"}')
    there = sorted(root.iterdir())

    @settings(bounded, max_examples=max(INPUTS // 3, 50))
    @given(spoiled(json.loads(valid)) if file.suffix == ".json" else spoiled_text(valid))
    def fuzz(data: bytes) -> None:
        tried.append(data)
        file.write_bytes(data)
        try:
            import_data(path, root / "out", tool, frames, classes=names if tool == "mots" else None)
        except UserError as error:
            refusal(error, Path())
        else:
            read_ytvis(root / "out" / "instances.json", root / "out" / "JPEGImages", cache=False)
            shutil.rmtree(root / "out")
        assert sorted(root.iterdir()) == there

    fuzz()
