"""Runs as one file: what comes out is what went in, and anything that ``cvis bundle`` would not write is refused."""

import gzip
import hashlib
import json
import shutil
import stat
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from cvis.cli import app
from cvis.errors import UserError
from cvis.files import zip_entry
from cvis.runs.find import load_runs
from cvis.runs.open import open_run
from cvis.runs.unbundle import SUMS, unpacked

RUN = "tiny/mask2former_tiny/finetune/seed0"


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def edit(path: Path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content, indent=1) + "\n")


def zipped(path: Path, files: dict[str, bytes], **entry) -> Path:
    """A bundle of whatever files, with right checksums; ``entry`` is said of each."""
    lines = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {SUMS: "".join(lines).encode(), **files}.items():
            info = zip_entry(name)
            for key, value in entry.items():
                setattr(info, key, value)
            archive.writestr(info, content)
    return path


def contents(bundle: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(bundle) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name != SUMS}


@pytest.fixture(scope="module")
def runs(finished, tmp_path_factory) -> Path:
    """Two seeds of one learner, as far as their files go."""
    top = tmp_path_factory.mktemp("bundled") / "runs"
    for seed in (0, 1):
        folder = shutil.copytree(finished, top / RUN.replace("seed0", f"seed{seed}"))
        edit(folder / "run.json", lambda record, seed=seed: record["config"]["runtime"].update(seed=seed))
        edit(folder / "metrics.json", lambda metrics, seed=seed: metrics.update(seed=seed))
    return top


@pytest.fixture(scope="module")
def both(runs) -> Path:
    out = runs.parent / "both.zip"
    assert call("bundle", runs, "--out", out).exit_code == 0
    return out


@pytest.fixture(scope="module")
def one(runs) -> Path:
    out = runs.parent / "one.zip"
    assert call("bundle", runs / RUN, "--out", out).exit_code == 0
    return out


def test_a_bundle_is_read_as_its_folders_are(runs, both, one, stream, tmp_path):
    table = call("compare", both, "--json")
    assert table.exit_code == 0, table.output
    assert table.stdout == call("compare", runs, "--json").stdout
    verified = call("verify", both, "--data", stream.parent, "--strict", "--json")
    assert verified.exit_code == 0, verified.output
    assert [run["scored"] for run in json.loads(verified.stdout)["runs"]] == [True, True]
    unscored = call("verify", one)
    assert unscored.exit_code == 0
    assert "seed0: agrees, but is not scored again" in unscored.stdout
    assert call("verify", one, "--strict").exit_code == 1
    exported = tmp_path / "out.json", tmp_path / "same.json"
    for run, out in zip((one, runs / RUN), exported, strict=True):
        assert call("export", run, "--results", "--out", out).exit_code == 0
    assert exported[0].read_bytes() == exported[1].read_bytes()
    explained = call("explain", one, "--data", stream.parent, "--json")
    assert explained.exit_code == 0, explained.output
    assert explained.stdout == call("explain", runs / RUN, "--json").stdout
    assert "holds 2 runs; unzip it" in call("export", both, "--results").stderr


def test_equal_runs_make_equal_bytes_and_say_nothing_of_the_machine(runs, both, stream, tmp_path):
    again, copied = tmp_path / "again.zip", tmp_path / "copied.zip"
    assert call("bundle", runs, "--out", again).exit_code == 0
    assert call("bundle", both, "--out", copied).exit_code == 0  # what is in a bundle can be put into another
    assert both.read_bytes() == again.read_bytes() == copied.read_bytes()
    files = contents(both)
    assert f"{RUN}/scenario.toml" in files
    assert not [name for name in files if name.endswith((".pth", ".py")) or "/logs/" in name]
    assert files[f"{RUN}/metrics.json"] == (runs / RUN / "metrics.json").read_bytes()
    for name, content in files.items():
        assert str(runs.parents[1]).encode() not in content, name
        assert str(stream.parent).encode() not in content, name


def test_paths_of_ones_own_files_keep_their_last_part(runs, tmp_path):
    folder = shutil.copytree(runs / RUN, tmp_path / RUN)
    mine = "/home/alice/mine.py:Mine"
    edit(folder / "run.json", lambda record: record["config"]["segmenter"].update(type=mine))
    edit(folder / "metrics.json", lambda metrics: metrics["protocol"]["segmenter"].update(type=mine))
    edit(folder / "run.json", lambda record: record.update(command="cvis run x --data /home/alice/videos"))
    assert call("bundle", folder, "--out", tmp_path / "b.zip").exit_code == 0
    assert not [name for name, content in contents(tmp_path / "b.zip").items() if b"alice" in content]
    result = call("verify", tmp_path / "b.zip")
    assert result.exit_code == 0, result.stdout


def test_what_is_not_whole_is_not_bundled(runs, tmp_path):
    folder, out = shutil.copytree(runs / RUN, tmp_path / RUN), tmp_path / "b.zip"
    for file, said in (
        ("step1/digest.npz", None),  # runs older than the file
        ("step1/predictions.json.gz", "does not exist; copy it from where the run was made"),
        ("metrics.json", "is unfinished, 3 steps done; run the same `cvis run` again"),
    ):
        (folder / file).unlink()
        result = call("bundle", folder, "--out", out)
        assert result.exit_code == (2 if said else 0)
        assert said is None or (said in result.stderr and result.stderr.count("\n") == 1)
        out.unlink(missing_ok=True)
        assert list(tmp_path.glob("*.zip")) == []
    assert "end it in .zip" in call("bundle", runs, "--out", tmp_path / "b.tar").stderr


def scaled(data: bytes) -> bytes:
    """The predictions with other scores."""
    entries = json.loads(gzip.decompress(data))
    return gzip.compress(json.dumps([{**each, "score": 1 - each["score"]} for each in entries]).encode())


def test_a_bundle_whose_numbers_were_edited_is_found(one, stream, tmp_path):
    """A bundle whose metrics or predictions were edited, with right checksums: `cvis verify` says where."""
    files = contents(one)
    final = json.loads(files[f"{RUN}/metrics.json"])
    final["final"]["mAP"] += 1e-9
    edits = {
        "metrics.json": (json.dumps(final).encode(), "metrics.json: mAP: "),
        "step2/predictions.json.gz": (
            scaled(files[f"{RUN}/step2/predictions.json.gz"]),
            "step2/digest.npz: is not the digest",
        ),
        "step1/predictions.json.gz": (None, "step1/predictions.json.gz: does not exist"),
        "step1/metrics.json": (None, "step1/metrics.json: does not exist"),
        "step0/digest.npz": (files[f"{RUN}/step1/digest.npz"], "step0/digest.npz: is not the digest"),
    }
    for name, (content, said) in edits.items():
        edited = {**files, f"{RUN}/{name}": content}
        path = zipped(tmp_path / "b.zip", {name: content for name, content in edited.items() if content is not None})
        result = call("verify", path, "--data", stream.parent)
        assert result.exit_code == 1, name
        assert said in result.stdout, name


SMALL = {f"{RUN}/{name}": b"{}" for name in ("metrics.json", "run.json")}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_what_cvis_bundle_would_not_write_is_refused(tmp_path):
    """A zip file that is no bundle, is cut off, packed, or holds links or other names: one line, nothing unpacked."""
    path = tmp_path / "b.zip"
    first = f"{RUN}/metrics.json"

    def raw(data: bytes) -> None:
        path.write_bytes(data)

    def appended(name: str, content: bytes = b"") -> None:
        zipped(path, SMALL)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(zip_entry(name), content)

    whole = zipped(path, SMALL).read_bytes()
    assert [run.parts[-4:] for run in unpacked(path)] == [tuple(RUN.split("/"))]
    spoiled = [
        (lambda: raw(b"hello"), "is not a zip file"),
        (lambda: raw(b""), "is not a zip file"),
        (lambda: raw(whole[:-40]), "is not a zip file"),
        (lambda: raw(whole.replace(b"{}", b"[]")), "Bad CRC-32"),
        (lambda: raw(whole.replace(hashlib.sha256(b"{}").hexdigest().encode(), b"0" * 64)), "Bad CRC-32"),
        (lambda: zipped(path, SMALL, compress_type=zipfile.ZIP_DEFLATED), "compress_type: is not that of a plain"),
        (lambda: zipped(path, SMALL, external_attr=(stat.S_IFLNK | 0o777) << 16), "external_attr: is not that of"),
        (lambda: zipped(path, {**SMALL, "tiny/\N{GREEK SMALL LETTER ALPHA}": b""}), "flag_bits: is not that of"),
        (lambda: zipped(path, {}), "it holds no run"),
        (lambda: zipped(path, {first: b"{}"}), "run.json: is missing"),
        (lambda: appended(f"{RUN}/queries.npz"), "lists None, where the archive has"),
        (lambda: appended(first), "lists None, where the archive has"),
        *(
            (lambda name=name: zipped(path, {**SMALL, name: b"x"}), "is no file of a bundle")
            for name in (
                "../x",
                "/tmp/x",
                f"{RUN}/../x",
                f"{RUN}/step0/../../../../../../metrics.json",
                f"{RUN}/step0/model.pth",
                f"{RUN}/config.py",
                f"{RUN}/step0/",
                f"{RUN}/step0\\metrics.json",
                "tiny/.hidden/finetune/seed0/metrics.json",
                "metrics.json",
                SUMS.lower(),
            )
        ),
    ]
    for spoil, said in spoiled:
        spoil()
        with pytest.raises(UserError, match=r"b\.zip: is no bundle, or damaged: ") as refused:
            unpacked(path)
        assert said in str(refused.value)
        assert "\n" not in str(refused.value)
    (item,) = load_runs([path]).left_out
    assert item.path == path
    assert call("verify", path).exit_code == 1


NAMES = st.lists(
    st.sampled_from([*RUN.split("/"), "..", ".", "", "step0", "metrics.json", "a" * 101]) | st.text(), min_size=1
)


@settings(max_examples=50, deadline=None)
@given(name=NAMES.map("/".join))
def test_no_name_leads_out_of_the_folder(name, tmp_path_factory):
    path = tmp_path_factory.mktemp("named") / "b.zip"
    try:
        zipped(path, {**SMALL, name: b"x"})
        folders = unpacked(path)
    except (UserError, UnicodeEncodeError):  # zipfile itself writes no halves of characters
        return
    top = folders[0].parents[3]
    assert sorted(str(file.relative_to(top)) for file in top.rglob("*") if file.is_file()) == sorted({*SMALL, name})


@settings(max_examples=50, deadline=None)
@given(place=st.integers(0), byte=st.integers(0, 255))
def test_a_byte_that_flipped_is_found_or_does_not_matter(place, byte, tmp_path_factory):
    path = tmp_path_factory.mktemp("flipped") / "b.zip"
    data = bytearray(zipped(path, SMALL).read_bytes())
    data[place % len(data)] = byte
    path.write_bytes(data)
    try:
        (folder,) = unpacked(path)
    except UserError:
        return
    assert {file.read_bytes() for file in folder.iterdir()} == {b"{}"}


def test_a_folder_is_searched_for_bundles_and_not_for_other_zip_files(one, runs, tmp_path):
    shutil.copy(one, tmp_path / "one.zip")
    (tmp_path / "submission.zip").write_bytes(b"PK\x03\x04")
    assert call("export", runs / RUN, "--submission", "--out", tmp_path / "more.zip").exit_code == 0
    store = load_runs([tmp_path])
    assert [run.seed for run in store.runs] == [0]
    assert store.left_out == ()
    (tmp_path / "cut.zip").write_bytes(one.read_bytes()[:-100])
    assert [item.path.name for item in load_runs([tmp_path]).left_out] == ["cut.zip"]
    assert open_run(one).folder.path.name == "seed0"
