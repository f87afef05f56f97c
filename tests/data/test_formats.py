"""Annotations of other tools become the same tracks, whatever they are written in; and every mistake is one line."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from pathlib import Path

import foreign_files as foreign
import numpy as np
import pytest
from annotation_files import small
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


def tracks(out: Path) -> dict[tuple[str, str, int], np.ndarray]:
    """(video, class, n-th of them) -> bool [T, H, W]."""
    videos = read_ytvis(out / "instances.json", out / "JPEGImages", cache=False)
    names = {category.id: category.name for category in videos.categories}
    found: dict[tuple[str, str, int], np.ndarray] = {}
    for track in videos.all_tracks:
        video = videos.by_id[track.video_id]
        masks = [
            np.zeros((video.height, video.width), bool) if code is None else coco.decode(code) > 0
            for code in track.segmentations
        ]
        key = (video.name, names[track.category_id])
        found[(*key, sum(other[:2] == key for other in found))] = np.stack(masks)
    return found


def same(found, wanted) -> bool:
    return found.keys() == wanted.keys() and all(np.array_equal(found[key], wanted[key]) for key in wanted)


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


def one_task(shapes: str, meta: str = "<size>9</size>") -> str:
    track = f'<track id="0" label="car">{shapes}</track>' if shapes else ""
    return f"<annotations><meta><task><source>walk</source>{meta}</task></meta>{track}</annotations>"


def polygon(frame: int, *points: tuple[float, float], outside: int = 0) -> str:
    return f'<polygon frame="{frame}" outside="{outside}" points="{";".join(f"{x},{y}" for x, y in points)}"/>'


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


XML_BOMB = '<!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]>' + one_task("")
OF_9X8 = "<original_size><width>9</width><height>8</height></original_size>"
SQUARE = ((0, 0), (9, 0), (9, 9))
MISTAKES = {  # name -> (what is written into a.xml or a.json or a.txt, what is said)
    "a document type": ("xml", XML_BOMB, r"a\.xml: has a DOCTYPE"),
    "no XML": ("xml", "<annotations>", r"a\.xml: is not XML"),
    "images of CVAT": ("xml", "<annotations><image/></annotations>", "CVAT for video 1.1"),
    "no task": ("xml", "<annotations/>", "meta: has no task"),
    "frames without end": ("xml", one_task("", "<stop_frame>999999999</stop_frame>"), "frames 0 to 999999999"),
    "a frame too many": ("xml", one_task("", "<size>5</size>"), r"a\.xml: frame 4: .*--frames"),
    "another size": ("xml", one_task("", f"<size>4</size>{OF_9X8}"),
                     "original_size: 9x8: the frames are 30x20"),
    "a point of words": ("xml", one_task(polygon(0, *SQUARE).replace("9", "nan"), "<size>4</size>"),
                         "track 0: frame 0: polygon: points: 'nan'"),
    "a mask too large": ("xml", one_task('<mask frame="0" rle="1000000" left="0" top="0" width="1000" height="1000"/>',
                                         "<size>4</size>"), "mask: 1000x1000: the frame has 30x20"),
    "runs that do not fit": ("xml", one_task('<mask frame="0" rle="7" left="0" top="0" width="2" height="3"/>',
                                             "<size>4</size>"), "run lengths of 6 pixels"),
    "a label with an escape": ("xml", one_task(polygon(0, *SQUARE), "<size>4</size>").replace("car", "c\u202er"),
                               "label: .*control characters"),
    "no mask at all": ("xml", one_task('<points frame="0" points="1,1"/>', "<size>4</size>"), "no object with a mask"),
    "nothing known": ("json", '{"a": 1}', "looks like none of the formats; choose one by --from: coco"),
    "cut off": ("json", '{"images": [', "is not JSON"),
    "no categories": ("json", '{"images": [], "annotations": []}', r"a\.json: categories: None: is not a list"),
    "a frame above": ("json", json.dumps(dict(
        categories=[], annotations=[], images=[dict(id=1, file_name="../../etc/passwd", height=4, width=4)])),
        "not the name of a file below the frames"),
    "a missing frame": ("json", json.dumps(dict(
        categories=[], annotations=[], images=[dict(id=1, file_name="x.jpg", height=4, width=4)])),
        "x.jpg: this frame does not exist; give the folder"),
    "an image that is not there": ("json", json.dumps(dict(
        categories=[], annotations=[dict(image_id=5)], images=[])), r"annotations\[0\]\.image_id: 5"),
    "no line of MOTS": ("txt", "0 1001 1 20 30 abc\nx", "line 2: 'x': is not 'frame number class"),
    "runs of another frame": ("txt", "0 1001 1 20 30 11", r"line 1\.counts: .*sum"),
    "a class without a name": ("txt", "0 5001 5 20 30 hb0", "--classes: 5: None"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_every_mistake_is_one_line_and_leaves_nothing(name, tmp_path):
    suffix, content, says = MISTAKES[name]
    path = tmp_path / f"a.{suffix}"
    path.write_text(content, encoding="utf-8")
    frames = foreign.frames(tmp_path, ("walk",))
    format = "mots" if suffix == "txt" else None
    with pytest.raises(UserError, match=says) as caught:
        import_data(path, tmp_path / "out", format, frames / "walk" if suffix != "json" else frames)
    assert "\n" not in str(caught.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["JPEGImages", path.name]


def test_what_is_asked_for_wrongly(tmp_path):
    frames, path = foreign.frames(tmp_path), foreign.davis(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    for arguments, says in [
        ((path, tmp_path / "full", None, frames), "full: exists already"),
        ((path, tmp_path / "o", "davos", frames), r"--from davos: no such format; .*did you mean.*davis"),
        ((path, tmp_path / "o", None, tmp_path / "gone"), "--frames .*gone: does not exist"),
        ((path, tmp_path / "o", None, frames, 0), "--every 0"),
        ((path, tmp_path / "o", "mots", frames), "P: is no picture of such masks; those of MOTS have 16 bits"),
        ((path, tmp_path / "o", None, frames / "walk"), "has no folder of frames and no video file of the name 'swim'"),
        ((path, tmp_path / "o", None, path), "masks/swim: has the masks; give the folder of the frames by --frames"),
        ((tmp_path / "gone", tmp_path / "o"), "gone: does not exist"),
    ]:
        with pytest.raises(UserError, match=says):
            import_data(*arguments)
    (frames / "swim" / "00003.jpg").unlink()
    with pytest.raises(UserError, match=r"swim/00003.png: there is no frame 00003 in"):
        import_data(path, tmp_path / "o", None, frames)
    (path / "swim" / "00003.png").unlink()
    Image.new("P", (5, 5)).save(path / "swim" / "00002.png")
    with pytest.raises(UserError, match=r"00002.png: 5x5: its frame is 30x20"):
        import_data(path, tmp_path / "o", None, frames)
