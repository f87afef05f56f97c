"""Initial weights: what fits is loaded, what does not fit is named."""

import http.client
import io
import runpy
import ssl
import sys
import urllib.error
from pathlib import Path

import pytest
import torch

from cvis.errors import UserError
from cvis.segmenters import weights
from cvis.segmenters.init import load_init

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def url(tmp_path, monkeypatch):
    """A downloadable weight file, and the cache in a temporary folder."""
    monkeypatch.setenv("CVIS_CACHE", str(tmp_path / "cache"))

    def make(state, digits=None):
        source = tmp_path / "source.pth"
        torch.save(state, source)
        named = source.rename(tmp_path / f"net-{digits or weights.sha256(source)[:8]}.pth")
        return named.as_uri()

    return make


def test_random_reads_nothing(small):
    segmenter = small()
    report = load_init(segmenter, "random")
    assert report.matched == ()
    assert set(report.missing) == set(segmenter.state_dict())


def test_own_state_and_other_classes(small, tmp_path):
    """All but the class heads, whose number of classes differs."""
    trained, path = small(), tmp_path / "own.pth"
    torch.save(trained.state_dict(), path)
    torch.manual_seed(5)
    fresh = small(classes=(1, 2))
    before = fresh.class_heads.steps[0].weight.clone()
    report = load_init(fresh, path)
    assert set(report.missing) == {"class_heads.steps.0.weight", "class_heads.steps.0.bias"}
    assert torch.equal(fresh.class_heads.steps[0].weight, before)
    assert torch.equal(fresh.decoder.level_embed, trained.decoder.level_embed)


def test_fetched_once_and_checked(small, url):
    state = {f"backbone.{key}": value for key, value in small().backbone.state_dict().items()}
    address = url(state)
    segmenter = small(weights=dict(imagenet=address))
    report = load_init(segmenter, "imagenet")
    assert set(report.matched) == set(state)
    Path(address.removeprefix("file://")).unlink()
    assert load_init(segmenter, "imagenet").sha256 == report.sha256
    cached = Path(report.source)
    cached.write_bytes(cached.read_bytes() + b"x")
    with pytest.raises(UserError, match="delete it"):
        load_init(segmenter, "imagenet")


def test_wrong_checksum_leaves_nothing(small, url, tmp_path):
    segmenter = small(weights=dict(coco=url({"a": torch.zeros(1)}, digits="00000000")))
    with pytest.raises(UserError, match="sha256"):
        load_init(segmenter, "coco")
    assert list((tmp_path / "cache" / "weights").iterdir()) == []


def test_no_network_is_one_line(small, monkeypatch, tmp_path):
    monkeypatch.setenv("CVIS_CACHE", str(tmp_path))

    def refuse(*_, **__):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(weights.urllib.request, "urlopen", refuse)
    segmenter = small(weights=dict(coco="https://example.org/net-12345678.pth"))
    with pytest.raises(UserError, match=r"example.org.*--init PATH") as caught:
        load_init(segmenter, "coco")
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "weights").iterdir()) == []


class Line:
    """A response whose second read fails."""

    def __init__(self, error):
        self.answers = [b"x" * 10, error]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def read(self, _size=-1):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TimeoutError("timed out"), "timed out"),
        (ConnectionResetError(104, "Connection reset by peer"), "reset by peer"),
        (http.client.IncompleteRead(b"x" * 5, 9), "9 more expected"),
        (ssl.SSLError("bad record mac"), "bad record mac"),
    ],
)
def test_a_broken_line_is_not_a_full_disk(monkeypatch, tmp_path, error, reason):
    monkeypatch.setenv("CVIS_CACHE", str(tmp_path))
    monkeypatch.setattr(weights.urllib.request, "urlopen", lambda *_, **__: Line(error))
    with pytest.raises(UserError, match=rf"net-12345678\.pth: download failed: .*{reason}.*--init PATH") as caught:
        weights.fetch("https://example.org/net-12345678.pth")
    assert "disk" not in str(caught.value)
    assert "space" not in str(caught.value)
    assert list((tmp_path / "weights").iterdir()) == []


def test_a_full_disk_is_not_a_broken_line(monkeypatch, tmp_path):
    monkeypatch.setenv("CVIS_CACHE", str(tmp_path))
    monkeypatch.setattr(weights.urllib.request, "urlopen", lambda *_, **__: Line(b""))

    class Full(io.BytesIO):
        def write(self, _):
            raise OSError(28, "No space left on device")

        def writelines(self, lines):
            for line in lines:
                self.write(line)

    monkeypatch.setattr(Path, "open", lambda *_: Full())
    with pytest.raises(UserError, match="cannot be written: No space left on device"):
        weights.fetch("https://example.org/net-12345678.pth")


@pytest.mark.parametrize("prefix", ["segmenter.", ""])
def test_checkpoints_of_a_run(small, tmp_path, prefix):
    """A learner's step 0, with what else it remembers, and the step 0 that learners share."""
    trained, path = small(), tmp_path / "model.pth"
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.add_(1)
    state = {f"{prefix}{key}": value for key, value in trained.state_dict().items()}
    if prefix:
        state |= {"teacher.weight": torch.zeros(3), "seen": [1, 2]}
    torch.save({"state": state, "train_s": 1.5}, path)
    same = small()
    report = load_init(same, path)
    assert report.missing == report.unexpected == ()
    assert all(torch.equal(value, trained.state_dict()[key]) for key, value in same.state_dict().items())
    other = small(classes=(1, 2))
    before = other.class_heads.steps[0].weight.clone()
    assert set(load_init(other, path).missing) == {"class_heads.steps.0.weight", "class_heads.steps.0.bias"}
    assert torch.equal(other.class_heads.steps[0].weight, before)
    assert torch.equal(other.decoder.level_embed, trained.decoder.level_embed)


def test_unknown_source(small):
    with pytest.raises(UserError, match=r"coco.*random"):
        load_init(small(), "coco")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda state: state.update({"decoder.post_norm.weight": torch.zeros(3)}), "decoder.post_norm.weight: shape"),
        (lambda state: state.pop("decoder.level_embed"), "decoder.level_embed: not in the file"),
        (lambda state: state.update({"decoder.layers.9.x": torch.zeros(1)}), "decoder.layers.9.x: this segmenter"),
    ],
)
def test_what_does_not_fit_is_named(small, tmp_path, change, word):
    state = dict(small().state_dict())
    change(state)
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(UserError, match=word):
        load_init(small(), tmp_path / "other.pth")


class Buffer:
    """Like mmengine's HistoryBuffer in a checkpoint's message hub."""


def test_pickled_objects_are_refused_and_stripped(small, tmp_path, monkeypatch, capsys):
    trained, raw, clean = small(), tmp_path / "raw.pth", tmp_path / "clean.pth"
    torch.save({"state_dict": trained.state_dict(), "message_hub": Buffer()}, raw)
    with pytest.raises(UserError, match=r"scripts/convert_weights.py"):
        load_init(small(), raw)
    monkeypatch.setattr(sys, "argv", ["convert_weights.py", str(raw), str(clean)])
    with pytest.raises(SystemExit) as done:
        runpy.run_path(str(ROOT / "scripts" / "convert_weights.py"), run_name="__main__")
    assert done.value.code == 0
    assert "tensors" in capsys.readouterr().out
    assert load_init(small(), clean).unexpected == ()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint"])
def test_other_files_are_refused(small, tmp_path, content):
    path = tmp_path / "file.pth"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"file\.pth"):
        load_init(small(), path)
    with pytest.raises(UserError, match=r"missing\.pth"):
        load_init(small(), tmp_path / "missing.pth")
