"""Runs in an annotation file are compressed before its JSON is parsed: the same masks, and the same faults."""

import json

import numpy as np
import pytest
from annotation_files import HEIGHT, WIDTH, mask, rle, runs, small, write
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from cvis.data import kernel
from cvis.data.ytvis import read_ytvis
from cvis.errors import UserError

BLANKS = st.text(" \t\n\r", max_size=2)
RUNS = st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 40), min_size=1, max_size=12)
LISTS = st.builds(
    lambda numbers, blank: "[" + f"{blank},".join(f"{blank}{n}" for n in numbers) + f"{blank}]", RUNS, BLANKS
)
OTHERS = st.sampled_from(
    ["[]", "[1, -1]", "[1.0]", "[1e2]", "[12345678901]", "[null]", "[[1]]", '"04"', '["counts"]', '{"counts": [3]}']
)
KEYS = st.sampled_from(['"counts"', '"size"', '"a\\"counts"', '"\\"counts"', '"counts\\""'])


def expected(value):
    """Each list of runs under ``counts`` as pycocotools compresses it."""
    if isinstance(value, dict):
        return {key: compressed(v) if key == "counts" else expected(v) for key, v in value.items()}
    return [expected(each) for each in value] if isinstance(value, list) else value


def compressed(value):
    known = isinstance(value, list) and value and all(type(n) is int and 0 <= n < 2**32 for n in value)
    if not known:
        return expected(value)
    return coco.frPyObjects({"size": [1, 1], "counts": value}, 1, 1)["counts"].decode()


@given(st.lists(st.tuples(KEYS, BLANKS, BLANKS, LISTS | OTHERS), max_size=6), st.integers(0, 999), st.booleans())
@example([('"counts"', "", "", "[01]")], 0, False)
@example([('"counts"', "", "", "[1,]")], 0, False)
@settings(max_examples=150, deadline=None)
def test_json_stays_json_with_compressed_runs(members, position, cut):
    text = "{" + ",".join(f"{key}{before}:{after}{value}" for key, before, after, value in members) + "}"
    text = (text[: position % (len(text) + 1)] if cut else text).encode()
    try:
        value = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError, match=r".*"):
            json.loads(kernel.compressed(text))
    else:
        assert expected(json.loads(kernel.compressed(text))) == expected(value)  # a list may stay where it is shorter


def test_a_list_of_runs_becomes_their_string():
    text = b'{"a": [5, 2], "counts" : [\n5, 2,2, 7\t], "\\"counts": [5, 2, 2, 7], "counts": [60]}'
    assert kernel.compressed(text) == '{"a": [5, 2], "counts" : "5225", "\\"counts": [5, 2, 2, 7], "counts": "l1"}'
    assert kernel.compressed(b'{"counts": [12]}') == '{"counts": "<"}'
    assert kernel.compressed(b'{"counts": [44, 1]}') == r'{"counts": "\\11"}'


def spoilt(how: str) -> dict:
    """The small file with one more track, a form of every kind in it, and one thing wrong."""
    raw = small()
    some, full = rle((1, 1), (2, 3), (3, 5)), mask((0, 0))
    text = coco.encode(np.asfortranarray(full))["counts"].decode()
    masks = {
        "nothing": some,
        "strings": {"size": [HEIGHT, WIDTH], "counts": text},
        "size": {**some, "size": [WIDTH, HEIGHT]},
        "sum": {**some, "counts": [*runs(full), 3]},
        "negative": {**some, "counts": [-1, HEIGHT * WIDTH + 1]},
        "damaged": {"size": [HEIGHT, WIDTH], "counts": text[:-1] + "\u00e9"},
        "empty": {**some, "counts": []},
        "no counts": {"size": [HEIGHT, WIDTH]},
        "polygon": [[0, 0, 3, 0, 3, 3]],
        "number": 3,
    }
    raw["annotations"][0]["segmentations"] = [None, some, masks[how]]
    raw["annotations"][0]["areas"] = None
    return raw


def test_both_kernels_read_a_file_alike_and_name_the_same_faults(tmp_path, monkeypatch):
    faults = 0
    for how in ("nothing", "strings", "size", "sum", "negative", "damaged", "empty", "no counts", "polygon", "number"):
        path, found = write(tmp_path, spoilt(how)), []
        for name in ("numba", "pycocotools"):
            monkeypatch.setenv("CVIS_KERNEL", name)
            try:
                found.append(read_ytvis(path, None, cache=False))
            except UserError as error:
                found.append(str(error))
        assert found[0] == found[1], how
        faults += isinstance(found[0], str)
    assert faults == 7
