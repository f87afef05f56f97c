"""What is wrong with a file of another tool, or with what is asked for, is one line, and nothing is left behind."""

from __future__ import annotations

import json

import foreign_files as foreign
import pytest
from foreign_files import one_task, polygon
from PIL import Image

from cvis.data.formats import import_data
from cvis.errors import UserError

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
