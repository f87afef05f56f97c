"""Reading and writing the YouTube-VIS results format."""

from __future__ import annotations

import gzip
import json
import os
import threading
from functools import partial

import numpy as np
import pytest
from scored_sets import encode, random_set, set_of, tracks_of, video_of

from cvis.errors import UserError
from cvis.evaluation import VideoAP, read_results, score, write_results
from cvis.evaluation.results import entry_name, stream_results
from cvis.types import Tracks

MASK = {"size": [8, 8], "counts": encode(np.eye(8, dtype=bool))["counts"].decode()}
GOOD = {"video_id": 1, "category_id": 3, "score": 0.5, "segmentations": [MASK, None]}
LARGER = encode(np.eye(9, 8, dtype=bool))["counts"].decode()  # of a frame of 9 x 8
GROUND_TRUTH = set_of([video_of(1, 2)], [])


@pytest.mark.parametrize("name", ["results.json", "results.json.gz"])
@pytest.mark.parametrize("seed", range(5))
def test_what_is_written_is_read_back(tmp_path, name, seed):
    ground_truth, predictions = random_set(seed)
    write_results(tmp_path / name, predictions)
    expected = sorted((t for t in predictions if len(t)), key=lambda t: t.video_id)
    assert list(read_results(tmp_path / name, ground_truth)) == expected


@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
def test_equal_predictions_give_equal_bytes_in_any_order(tmp_path, name):
    _, predictions = random_set(8)
    assert len(predictions) > 1
    write_results(tmp_path / name, predictions)
    first = (tmp_path / name).read_bytes()
    (tmp_path / "other").mkdir()
    write_results(tmp_path / "other" / name, reversed(predictions))
    assert (tmp_path / "other" / name).read_bytes() == first
    if name.endswith(".gz"):
        assert first[3:8] == bytes(5)  # neither a file name nor the time


def test_no_predictions_are_an_empty_list(tmp_path):
    write_results(tmp_path / "none.json.gz", [])
    assert json.loads(gzip.decompress((tmp_path / "none.json.gz").read_bytes())) == []
    assert list(read_results(tmp_path / "none.json.gz", GROUND_TRUTH)) == []


def test_tracks_of_a_video_are_grouped_in_the_order_of_the_file(tmp_path):
    ground_truth = set_of([video_of(1, 2), video_of(2, 2)], [])
    entries = [{**GOOD, "video_id": v, "score": s} for v, s in ((2, 0.1), (1, 0.2), (2, 0.3))]
    (tmp_path / "r.json").write_text(json.dumps(entries))
    scores = [(t.video_id, t.scores) for t in read_results(tmp_path / "r.json", ground_truth)]
    assert scores == [(1, (0.2,)), (2, (0.1, 0.3))]


def scored(path, ground_truth):
    """The whole of a file through the evaluator, part by part."""
    metric = VideoAP(ground_truth)
    for first, tracks in stream_results(path, ground_truth):
        metric.extend(tracks, partial(entry_name, path, first))
    return metric.result()


def read(path, ground_truth):
    return list(read_results(path, ground_truth))


@pytest.mark.parametrize("order", [1, -1])
def test_a_stream_keeps_the_order_of_the_file_and_names_its_entries(tmp_path, monkeypatch, order):
    monkeypatch.setattr("cvis.evaluation.results._TOGETHER", 2)
    ground_truth = set_of([video_of(1, 2), video_of(2, 2)], [])
    entries = [{**GOOD, "video_id": v, "score": n / 10} for n, v in enumerate((1, 1, 1, 2, 1)[::order])]
    (tmp_path / "r.json").write_text(json.dumps(entries))
    parts = list(stream_results(tmp_path / "r.json", ground_truth))
    assert [score for _, tracks in parts for score in tracks.scores] == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert [first for first, _ in parts] == ([0, 2, 3, 4] if order == 1 else [0, 1, 2, 4])
    assert all(entries[first + n]["video_id"] == tracks.video_id for first, tracks in parts for n in range(len(tracks)))


@pytest.mark.parametrize("name", ["r.json", "r.json.gz"])
@pytest.mark.parametrize("seed", range(6))
def test_a_streamed_file_in_any_order_scores_as_its_tracks_do(tmp_path, monkeypatch, seed, name):
    monkeypatch.setattr("cvis.evaluation.json_stream.CHUNK", 200)
    ground_truth, predictions = random_set(seed)
    write_results(tmp_path / name, predictions)
    expected = score(ground_truth, predictions)
    np.testing.assert_array_equal(scored(tmp_path / name, ground_truth).precision, expected.precision)
    entries = [e for t in read(tmp_path / name, ground_truth) for e in _entries(t)]
    chosen = np.random.default_rng(seed).permutation(sorted({e["video_id"] for e in entries})).tolist()
    turns = [[e for e in entries if e["video_id"] == v] for v in chosen]
    mixed = [turn[n] for n in range(max(map(len, turns), default=0)) for turn in turns if n < len(turn)]
    text = json.dumps(mixed).encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    np.testing.assert_array_equal(scored(tmp_path / name, ground_truth).precision, expected.precision)
    assert read(tmp_path / name, ground_truth) == sorted((t for t in predictions if len(t)), key=lambda t: t.video_id)


def _entries(tracks):
    for category_id, number, masks in zip(tracks.category_ids, tracks.scores, tracks.segmentations, strict=True):
        segmentations = [m and {"size": m["size"], "counts": m["counts"].decode()} for m in masks]
        yield {
            "video_id": tracks.video_id,
            "category_id": category_id,
            "score": number,
            "segmentations": segmentations,
        }


def test_numpy_scores_and_ids_are_written(tmp_path):
    tracks = Tracks(1, (np.int64(3),), (np.float32(0.5),), ((encode(np.eye(8, dtype=bool)), None),))
    write_results(tmp_path / "r.json", [tracks])
    assert json.loads((tmp_path / "r.json").read_text()) == [GOOD]


def test_counts_may_be_a_string(tmp_path):
    write_results(tmp_path / "r.json", [Tracks(1, (3,), (0.5,), ((dict(MASK), None),))])
    assert json.loads((tmp_path / "r.json").read_text()) == [GOOD]


def test_a_score_that_is_not_finite_is_not_written(tmp_path):
    with pytest.raises(UserError, match="video 1: track 0: score: nan"):
        write_results(tmp_path / "r.json.gz", [Tracks(1, (3,), (float("nan"),), ((None, None),))])
    assert list(tmp_path.iterdir()) == []


def _without(field):
    return {name: value for name, value in GOOD.items() if name != field}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        *[(_without(field), f"entry 1: {field}: missing") for field in GOOD],
        ([], "entry 1: list: not an object"),
        ({**GOOD, "video_id": 9}, "entry 1: video_id: 9: not in the ground truth"),
        ({**GOOD, "video_id": "1"}, "entry 1: video_id: '1': not an integer"),
        ({**GOOD, "video_id": True}, "entry 1: video_id: True: not an integer"),
        ({**GOOD, "category_id": 4}, "entry 1: category_id: 4: not in the ground truth; use one of 3, 7"),
        ({**GOOD, "category_id": 3.0}, "entry 1: category_id: 3.0: not an integer"),
        ({**GOOD, "score": float("nan")}, "entry 1: score: nan: not a finite number"),
        ({**GOOD, "score": float("inf")}, "entry 1: score: inf: not a finite number"),
        ({**GOOD, "score": 10**400}, "entry 1: score: 1000000.*: not a finite number"),
        ({**GOOD, "score": "0.5"}, "entry 1: score: '0.5': not a finite number"),
        ({**GOOD, "segmentations": MASK}, "entry 1: segmentations: .*: not a list"),
        ({**GOOD, "segmentations": [MASK]}, "entry 1: segmentations: 1 entries, but video 1 has 2 frames"),
        (
            {**GOOD, "segmentations": [None, {**MASK, "size": [8, 9]}]},
            r"entry 1: segmentations\[1\].size: \[8, 9\]: video 1 is \[8, 8\]",
        ),
        ({**GOOD, "segmentations": [{"size": [8, 8], "counts": [64]}, None]}, r"segmentations\[0\]: .*compressed"),
        ({**GOOD, "segmentations": [None, {"counts": "0"}]}, r"segmentations\[1\]: .*: not a compressed mask"),
        *[
            ({**GOOD, "segmentations": [None, {**MASK, "counts": counts}]}, rf"segmentations\[1\].counts: {message}")
            for counts, message in (
                ("", "'': is not a compressed RLE string; .*encode"),
                ("zzzz", "'zzzz': is not a compressed RLE string; .*encode"),
                (MASK["counts"][:-1], r"[^:]*: is .*; .*encode"),
                (LARGER, "72: is what the runs sum to; 8 x 8 = 64; .*encode"),
                ("X1Jn0", "-6: is a negative run; .*encode"),  # 40, -6, 30: the sum is right
            )
        ],
        ({**GOOD, "segmentations": [None, 5]}, r"segmentations\[1\]: 5: not a compressed mask"),
        ({**GOOD, "segmentations": [None, {**MASK, "size": 8}]}, r"segmentations\[1\].size: 8: video 1 is"),
        ({**GOOD, "segmentations": [None, {**MASK, "size": None}]}, r"segmentations\[1\].size: None: video 1 is"),
        ({**GOOD, "segmentations": [None, {**MASK, "counts": "é" * 9}]}, r"segmentations\[1\].counts: .*not a comp"),
        ({**GOOD, "segmentations": [None, {**MASK, "counts": "Ā" * 9}]}, r"segmentations\[1\].counts: .*not a comp"),
    ],
)
@pytest.mark.parametrize("use", [read, scored])
def test_a_bad_entry_is_named(tmp_path, use, entry, message):
    path = tmp_path / "bad.json"
    path.write_text(json.dumps([GOOD, entry]))
    with pytest.raises(UserError, match=message) as error:
        use(path, GROUND_TRUTH)
    assert str(error.value).startswith(f"{path}: entry 1")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (json.dumps([GOOD]).encode()[:-30], "not JSON, or truncated"),
        (b"", "not JSON, or truncated"),
        (b"[" * 100_000, "not JSON, or truncated"),
        (b"\xff\xfe\x00\xd8", "not JSON, or truncated"),
        (gzip.compress(json.dumps([GOOD] * 50).encode())[:-20], "damaged or truncated gzip"),
        (b"\x1f\x8bnot gzip", "damaged or truncated gzip"),
        (b'[{"video_id": 1, "category_id": "\\ud800"}]', "not JSON, or truncated"),
        (json.dumps({"annotations": []}).encode(), "top level: dict: not a results file"),
    ],
)
@pytest.mark.parametrize("use", [read, scored])
def test_a_damaged_file_is_named(tmp_path, use, content, message):
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        use(path, GROUND_TRUTH)
    assert str(error.value).startswith(f"{path}: ")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"gone\.json: cannot be read: No such file"):
        list(read_results(tmp_path / "gone.json", GROUND_TRUTH))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_read_once(tmp_path):
    predictions = [tracks_of(1, (3, 0.5, [np.ones((8, 8), bool), None]))]
    write_results(tmp_path / "plain.json", predictions)
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(
        target=lambda: (tmp_path / "pipe").write_bytes((tmp_path / "plain.json").read_bytes()), daemon=True
    )
    writer.start()
    assert list(read_results(tmp_path / "pipe", GROUND_TRUTH)) == predictions
    writer.join(10)
