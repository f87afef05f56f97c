"""Annotations as zip files, and in several parts, as tools export them."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from pathlib import Path

import foreign_files as foreign
import pytest
from foreign_files import one_task, polygon, tracks

from cvis.data.check import check
from cvis.data.formats import import_data
from cvis.errors import UserError


def zipped(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return path


def test_a_zip_file_as_cvat_exports_it(tmp_path):
    """One task, the frames in it."""
    folder = foreign.frames(tmp_path / "x", ("walk",)).parent
    meta = "<frame_filter/><size>4</size>"
    (folder / "annotations.xml").write_text(one_task(polygon(0, (0, 0), (9, 0), (9, 9)), meta))
    for n, file in enumerate(sorted((folder / "JPEGImages" / "walk").iterdir())):
        (folder / "images").mkdir(exist_ok=True)
        file.rename(folder / "images" / f"frame_{n:06d}.jpg")
    shutil.rmtree(folder / "JPEGImages")
    made = import_data(zipped(folder, tmp_path / "task.zip"), tmp_path / "out")
    assert (made.format, [len(video) for video in made.videos.videos]) == ("cvat", [4])
    assert next(iter(tracks(tmp_path / "out").values())).any((1, 2)).all()
    assert check(tmp_path / "out", "custom").ok
    assert not any(file.is_symlink() for file in (tmp_path / "out").rglob("*"))
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["JPEGImages", "instances.json"]


@pytest.mark.parametrize("pack", [zipped, lambda folder, path: folder], ids=["zip", "folder"])
def test_the_parts_of_an_export_become_one_set(pack, tmp_path):
    """Frames beside each part's file, as Roboflow has it, and in images/PART, as CVAT and COCO have it."""
    folder = tmp_path / "export"
    for part, frames in [("train", "train"), ("valid", "images/valid")]:
        here = folder / part
        raw = json.loads(foreign.coco_images(foreign.frames(tmp_path / part).parent).read_text())
        file = here / "_annotations.coco.json" if part == "train" else folder / "annotations" / "instances_valid.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(raw))
        shutil.copytree(tmp_path / part / "JPEGImages", folder / frames, dirs_exist_ok=True)
    (folder / "README.roboflow.txt").write_text("Exported\non a day")
    made = import_data(pack(folder, tmp_path / "export.zip"), tmp_path / "out")
    assert (made.format, len(made.videos), len(made.videos.categories)) == ("coco", 4, 2)
    files = {str(Path(file).relative_to(tmp_path)) for file, _ in made.skipped}
    assert {re.sub(r"^export(.zip)?/", "", file) for file in files} == {
        "train/_annotations.coco.json",
        "annotations/instances_valid.json",
    }
    assert check(tmp_path / "out", "custom").ok


def test_a_zip_file_is_a_stranger(tmp_path):
    """Its entries stay in the new folder, and a bomb, an encrypted or a damaged one is one line that names it."""
    bad = tmp_path / "bad.zip"

    def refused(says):
        with pytest.raises(UserError, match=says) as caught:
            import_data(bad, tmp_path / "out")
        assert "\n" not in str(caught.value)
        assert ".unpacked" not in str(caught.value)
        assert sorted(file.name for file in tmp_path.iterdir()) == ["bad.zip"]

    with zipfile.ZipFile(bad, "w") as archive:
        archive.writestr("../../above.json", "{}")
        link = zipfile.ZipInfo("link.json")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    refused(r"bad\.zip/link\.json: .*is not JSON")
    whole = bad.read_bytes()
    for content, says in [
        (whole[: len(whole) // 2], "cannot be unpacked"),
        (whole.replace(b"/etc/passwd", b"/etc/shadow"), r"cannot be unpacked \(Bad CRC-32"),
        (b"", r"cannot be unpacked \(File is not a zip file"),
    ]:
        bad.write_bytes(content)
        refused(says)
    with zipfile.ZipFile(bad, "w") as archive:
        archive.writestr("a.json", "x")
        archive.getinfo("a.json").file_size = 1 << 40
    refused("it would unpack to 1099511627776 bytes")
