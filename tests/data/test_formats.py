"""Annotations of other tools become the same tracks, whatever they are written in."""

from __future__ import annotations

import json
import re
from pathlib import Path

import foreign_files as foreign
import numpy as np
import pytest
from annotation_files import small
from foreign_files import one_task, polygon, same, tracks
from PIL import Image
from pycocotools import mask as coco
from realvis import REALVIS, needs_realvis

from cvis.data.check import check
from cvis.data.formats import FORMATS, import_data
from cvis.data.formats.shapes import box, ellipse, pasted
from cvis.data.rle import read_segmentation
from cvis.data.ytvis import read_ytvis
from cvis.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
WRITERS = {
    "coco-video": foreign.coco_video,
    "cvat": foreign.cvat,
    "labelme": foreign.labelme,
    "mots": foreign.mots_png,
    "mots ": foreign.mots_txt,
    "davis": foreign.davis,
}
WITHOUT_A_PLACE = {
    "coco-video": {"attributes of"},
    "cvat": {"a shape", "a track of boxes", "an attribute ('colour')"},
    "labelme": {"a shape", "flags of"},
    "mots ": {"a region"},
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_tracks(name, tmp_path):
    frames, out = foreign.frames(tmp_path), tmp_path / "out"
    path = WRITERS[name](tmp_path)
    classes = tmp_path / "classes.json"
    classes.write_text('{"1": "car", "2": "dog"}')
    made = import_data(path, out, None, frames, classes=classes if "mots" in name else None)
    assert made.format == name.strip()
    assert same(tracks(out), foreign.truth())
    said = {what for _, what in made.skipped}
    assert all(any(what.startswith(start) for what in said) for start in WITHOUT_A_PLACE.get(name, ()))
    assert len(said) == len(WITHOUT_A_PLACE.get(name, ()))
    report = check(out, "custom")
    assert (report.ok, report.problems) == (True, ())
    content = json.loads((out / "instances.json").read_text())
    assert isinstance(content["annotations"][0]["segmentations"][0]["counts"], str)
    link = out / "JPEGImages" / content["videos"][0]["file_names"][0]
    assert link.is_symlink()
    assert link.resolve().is_relative_to(frames.resolve())
    assert sorted(path.name for path in out.iterdir()) == ["JPEGImages", "instances.json"]
    assert not list(tmp_path.glob(".out*"))


def test_an_image_of_coco_becomes_a_video_of_one_frame(tmp_path):
    frames, out = foreign.frames(tmp_path), tmp_path / "out"
    made = import_data(foreign.coco_images(tmp_path), out, None, frames, copy=True)
    wanted = {(f"{video}/00000", *rest): full[:1] for (video, *rest), full in foreign.truth().items() if full[0].any()}
    assert made.format == "coco"
    assert same(tracks(out), wanted)
    assert [c.id for c in read_ytvis(out / "instances.json", None).categories] == [3, 7]
    assert not any(path.is_symlink() for path in out.rglob("*"))


def test_youtube_vis_keeps_its_ids_and_loses_frames_on_request(tmp_path):
    raw = small()
    for video in raw["videos"]:
        for name in video["file_names"]:
            (tmp_path / "JPEGImages" / name).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (6, 4)).save(tmp_path / "JPEGImages" / name)
    path = foreign.write(tmp_path, raw)
    before, after = read_ytvis(path, None), import_data(path, tmp_path / "out").videos
    assert {t.id: (t.video_id, t.segmentations) for t in after.all_tracks} == {
        t.id: (t.video_id, t.segmentations) for t in before.all_tracks
    }
    written = read_ytvis(tmp_path / "out" / "instances.json", None)
    assert written.categories == before.categories
    assert dict(written.tracks) == dict(before.tracks)
    import_data(path, tmp_path / "fewer", every=2)
    fewer = read_ytvis(tmp_path / "fewer" / "instances.json", tmp_path / "fewer" / "JPEGImages")
    assert [len(video) for video in fewer.videos] == [2, 1]
    assert [(t.id, len(t.segmentations)) for t in fewer.all_tracks] == [(0, 2), (3, 2), (9, 1)]


def cvat_tracks(tmp_path, text: str, count: int = 9) -> np.ndarray:
    """The one track of an XML file, bool [T, H, W]."""
    folder = tmp_path / "frames"
    folder.mkdir()
    for t in range(count):
        Image.new("RGB", (40, 20)).save(folder / f"{t + 1}.png")
    (tmp_path / "a.xml").write_text(text)
    import_data(tmp_path / "a.xml", tmp_path / "out", "cvat", folder)
    (masks,) = tracks(tmp_path / "out").values()
    return masks


def edges(masks: np.ndarray) -> list[int | None]:
    """The left edge in every frame; None where nothing is."""
    return [int(np.flatnonzero(mask.any(0))[0]) if mask.any() else None for mask in masks]


def test_between_the_shapes_of_cvat(tmp_path):
    """A polygon moves to one with a point more, is away, comes back as a box that turns, and stays to the end."""
    square = [(0, 0), (4, 0), (4, 4), (0, 4)]
    moved = [(8, 0), (10, 0), (12, 0), (12, 4), (8, 4)]
    shapes = polygon(0, *square) + polygon(2, *moved) + polygon(3, *moved, outside=1)
    shapes += '<box frame="5" outside="0" xtl="20" ytl="2" xbr="24" ybr="14" rotation="0"/>'
    shapes += '<box frame="7" outside="0" xtl="24" ytl="2" xbr="28" ybr="14" rotation="90"/>'
    masks = cvat_tracks(tmp_path, one_task(shapes))
    assert edges(masks) == [0, 4, 8, None, None, 20, edges(masks)[6], 20, 20]
    assert masks[1].sum() == 16
    across = [np.ptp(np.flatnonzero(mask.any(0))) + 1 for mask in masks[5:8]]
    assert (across[0], across[2]) == (4, 12)
    assert 4 < across[1] < 12


def test_the_frames_of_a_task_that_leaves_some_out(tmp_path):
    """Of nine frames in the folder the task has 2, 5 and 8; a mask is in its own frame alone."""
    meta = "<size>3</size><start_frame>2</start_frame><stop_frame>8</stop_frame><frame_filter>step=3</frame_filter>"
    shapes = '<mask frame="2" outside="0" rle="0, 6" left="1" top="1" width="3" height="2"/>'
    shapes += '<ellipse frame="8" outside="0" cx="20" cy="10" rx="6" ry="4"/>'
    masks = cvat_tracks(tmp_path, one_task(shapes, meta))
    assert [int(mask.sum()) for mask in masks[:2]] == [6, 0]
    assert masks[2].sum() == pytest.approx(np.pi * 6 * 4, rel=0.05)
    video = json.loads((tmp_path / "out" / "instances.json").read_text())["videos"][0]
    assert video["file_names"] == ["walk/3.png", "walk/6.png", "walk/9.png"]


def test_a_video_file_becomes_the_frames_that_are_wanted(tmp_path):
    pytest.importorskip("av")
    from cvis.report.pictures.files import write_mp4

    grey = [np.full((20, 40, 3), 20 * t, np.uint8) for t in range(9)]
    write_mp4(grey, tmp_path / "walk.mp4")
    (tmp_path / "a.xml").write_text(one_task(polygon(0, (0, 0), (9, 0), (9, 9))))
    import_data(tmp_path / "a.xml", tmp_path / "out", None, tmp_path / "walk.mp4", every=3)
    files = sorted((tmp_path / "out").rglob("*.jpg"))
    assert [file.name for file in files] == ["000000.jpg", "000003.jpg", "000006.jpg"]
    assert [round(float(np.asarray(Image.open(file)).mean())) for file in files] == pytest.approx([0, 60, 120], abs=3)
    (tmp_path / "a.xml").write_text(one_task(polygon(0, (0, 0), (9, 0), (9, 9)), "<size>30</size>"))
    with pytest.raises(UserError, match=r"frame 29: the annotations speak of it, but the video has 9 frames; give"):
        import_data(tmp_path / "a.xml", tmp_path / "more", None, tmp_path / "walk.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.xml", "out", "walk.mp4"]


def test_the_recipe_for_a_format_works(tmp_path, monkeypatch):
    recipe: dict = {}
    code = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    exec(next(block for block in code if "def accepts" in block), recipe)
    monkeypatch.setitem(FORMATS, "mine", recipe["FORMAT"])
    lines = ["2 a car 1 1 9 1 9 9", "0 a car 1 1 5 1 5 5", "2 b dog 3 1 9 1 9 9"]
    (tmp_path / "walk.mine").write_text("\n".join(lines))
    made = import_data(tmp_path / "walk.mine", tmp_path / "out", None, foreign.frames(tmp_path, ("walk",)))
    seen = {key[1]: [int(mask.sum()) for mask in masks] for key, masks in tracks(tmp_path / "out").items()}
    assert made.format == "mine"
    assert [video.frames[-1].stem for video in made.videos.videos] == ["00002"]
    assert {name: [pixels > 0 for pixels in areas] for name, areas in seen.items()} == {
        "car": [True, True],
        "dog": [False, True],
    }


def test_shapes():
    assert np.allclose(np.array(box(0, 0, 4, 2, 90)).reshape(-1, 2), [(3, -1), (3, 3), (1, 3), (1, -1)])
    code, area = read_segmentation([ellipse(50, 40, 30, 20, 30)], 80, 100)
    assert area == pytest.approx(np.pi * 30 * 20, rel=0.01)
    x, y, width, height = coco.toBbox(code)
    assert (x + width / 2, y + height / 2) == pytest.approx((50, 40), abs=1)
    assert width == pytest.approx(2 * np.hypot(30 * np.cos(np.pi / 6), 20 * np.sin(np.pi / 6)), abs=1.5)
    part = np.ones((3, 4), bool)
    for left, top, pixels in [(0, 0, 12), (-2, -1, 4), (8, 9, 2), (50, 0, 0), (0, -9, 0)]:
        assert pasted(part, left, top, 10, 10).sum() == pixels


@needs_realvis
def test_real_masks_as_davis_has_them_come_back_equal(tmp_path):
    raw = json.loads((REALVIS / "instances.json").read_text())
    chosen = raw["videos"]
    for video in chosen:
        annotations = [a for a in raw["annotations"] if a["video_id"] == video["id"]]
        names = {c["id"]: c["name"] for c in raw["categories"]}
        (tmp_path / "masks" / video["name"]).mkdir(parents=True)
        for t, file in enumerate(video["file_names"]):
            pixels = np.zeros((video["height"], video["width"]), np.uint8)
            for n, a in enumerate(annotations, start=1):
                if a["segmentations"][t]:
                    pixels[coco.decode(a["segmentations"][t]) > 0] = n
            picture = Image.fromarray(pixels)
            picture.putpalette(list(range(256)) * 3)
            picture.save(tmp_path / "masks" / video["name"] / f"{Path(file).stem}.png", compress_level=1)
        video["classes"] = {str(n): names[a["category_id"]] for n, a in enumerate(annotations, start=1)}
    (tmp_path / "davis_semantics.json").write_text(json.dumps({v["name"]: v["classes"] for v in chosen}))
    import_data(tmp_path / "masks", tmp_path / "out", None, REALVIS / "JPEGImages")
    wanted = {}
    for video in chosen:
        for n, a in enumerate(a for a in raw["annotations"] if a["video_id"] == video["id"]):
            key = (video["name"], video["classes"][str(n + 1)])
            masks = [np.zeros((video["height"], video["width"]), bool) if s is None else coco.decode(s) > 0
                     for s in a["segmentations"]]  # fmt: skip
            wanted[(*key, sum(other[:2] == key for other in wanted))] = np.stack(masks)
    assert len(wanted) == 55
    assert same(tracks(tmp_path / "out"), wanted)
