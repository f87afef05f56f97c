"""The incremental reader against the standard library's, on short random texts and tiny buffers."""

from __future__ import annotations

import io
import json
import random
import tracemalloc

import pytest

from cvis.evaluation import json_stream
from cvis.evaluation.json_stream import NotAnArrayError, array_batches

ATOMS = (1, 2.5, -3, None, True, "", "a", '}, {"id": 1', '\\"', "\\", "é[{", float("nan"), 10**400)


def read(text: bytes) -> list:
    return [value for batch in array_batches(io.BytesIO(text).read) for value in batch]


def _value(rng: random.Random, depth: int = 0):
    kind = rng.random()
    if depth > 3 or kind < 0.3:
        return rng.choice(ATOMS)
    if kind < 0.6:
        return [_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(("id", "b", "c\\", "{")): _value(rng, depth + 1) for _ in range(rng.randrange(4))}


def _text(rng: random.Random) -> bytes:
    entries = [{"id": 1, "x": _value(rng, 1)} if rng.random() < 0.7 else _value(rng) for _ in range(rng.randrange(6))]
    form = {"indent": rng.choice((None, 1)), "separators": rng.choice((None, (",", ":")))}
    text = json.dumps(entries, ensure_ascii=rng.random() < 0.5, **form)
    if rng.random() < 0.4:  # damage
        at = rng.randrange(len(text))
        text = text[:at] + rng.choice('"{}[],\\') + text[at + rng.randrange(2) :]
    return text.encode()


@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_it_reads_what_json_reads_and_refuses_what_json_refuses(monkeypatch, chunk):
    monkeypatch.setattr(json_stream, "CHUNK", chunk)
    rng, refused = random.Random(chunk), 0
    for _ in range(2000):
        text = _text(rng)
        try:
            expected = json.loads(text)
            assert isinstance(expected, list)
        except (ValueError, AssertionError):
            refused += 1
            with pytest.raises(ValueError):  # noqa: PT011  (what it says is tested below)
                read(text)
            continue
        assert repr(read(text)) == repr(expected), text  # repr: NaN is not equal to itself
    assert 200 < refused < 1000


def test_a_byte_order_mark_and_blanks_are_skipped():
    assert read(b"\xef\xbb\xbf  \n[1 , {} ]\r\n") == [1, {}]


@pytest.mark.parametrize(
    ("text", "kind"), [(b' {"a": 1}', "dict"), (b'"a"', "str"), (b"-1", "number"), (b"true", "bool"), (b"null", "null")]
)
def test_another_type_is_named(text, kind):
    with pytest.raises(NotAnArrayError, match=f"^{kind}$"):
        read(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'[{"id": 1}, {"id": 2}, {"id" 3}, {"id": 4}]', "Expecting ':' delimiter in or after entry 2"),
        (b'[{"id": 1}, {"id": 2}', "Expecting ',' delimiter in or after entry 1"),
        (b'[{"id": 1}, {"id": 2', "in or after entry 1"),
        (b'[{"id": 1},]', "in or after entry 0"),
        (b'[{"id": 1}] 2', "Extra data in or after entry 0"),
        (b"", "does not begin with a list"),
        (b"nothing", "Expecting value|bool|null"),
    ],
)
def test_damage_is_located(monkeypatch, text, message):
    for chunk in (3, 1 << 20):
        monkeypatch.setattr(json_stream, "CHUNK", chunk)
        with pytest.raises(ValueError, match=message):
            read(text)


@pytest.mark.parametrize("order", ["same", "changing"])
def test_memory_does_not_grow_with_the_file(monkeypatch, order):
    monkeypatch.setattr(json_stream, "CHUNK", 1 << 14)

    def peak(entries: int) -> int:
        record = {"video_id": 1, "segmentations": [{"size": [8, 8], "counts": "0" * 100}] * 10}
        other = dict(reversed(record.items())) if order == "changing" else record
        text = json.dumps([record, other] * entries).encode()
        stream = io.BytesIO(text)
        tracemalloc.start()
        count = sum(len(batch) for batch in array_batches(stream.read))
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert count == 2 * entries
        return highest

    assert peak(1000) < 1.2 * peak(100)
