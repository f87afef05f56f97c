"""The reader: what it returns, and that every fault of a file is named by file, field and value."""

import copy
import json
import re

import numpy as np
import pytest
from annotation_files import HEIGHT, WIDTH, mask, rle, small, write
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco
from realvis import REALVIS, needs_realvis

from cvis.data.rle import RLEError, decode_runs, read_segmentation
from cvis.data.ytvis import read_ytvis
from cvis.errors import UserError
from cvis.evaluation.overlap import mean_areas
from cvis.types import Category


def test_ids_are_the_file_s_own(tmp_path):
    videos = read_ytvis(write(tmp_path, small()), tmp_path)
    assert videos.categories == (Category(5, "cat"), Category(0, "dog"))
    assert [v.id for v in videos.videos] == [0, 7]
    assert [[t.id for t in videos.tracks[i]] for i in (0, 7)] == [[0, 3], [9]]
    assert videos.classes_of(0) == {0, 5}
    assert videos.by_id[7].frames == (tmp_path / "b/0.jpg", tmp_path / "b/1.jpg")
    assert videos.by_id[7].name == "b"


def test_masks_and_areas(tmp_path):
    crowd, track = read_ytvis(write(tmp_path, small()), None).tracks[0]
    assert crowd.iscrowd
    assert not track.iscrowd
    assert track.segmentations[0] is None
    assert track.areas == (0.0, 2.0, 1.0)
    assert crowd.areas == (1.0, 0.0, 0.0)  # the file has none
    assert np.array_equal(coco.decode(track.segmentations[1]), mask((1, 1), (1, 2)))


def test_the_areas_of_the_file_are_trusted(tmp_path):
    raw = small()
    raw["annotations"][0]["areas"] = [8, None, 1.5]
    areas = read_ytvis(write(tmp_path, raw), None).tracks[0][1].areas
    assert areas == (0.0, 0.0, 1.5)
    assert mean_areas(np.array([areas])) == [1.5]  # the official mean leaves a null out


@pytest.mark.parametrize(("given", "crowd"), [(0, False), (1, True), (False, False), (True, True), (None, False)])
def test_forms_of_iscrowd(tmp_path, given, crowd):
    raw = small()
    raw["annotations"][0]["iscrowd"] = given
    assert read_ytvis(write(tmp_path, raw), None).tracks[0][1].iscrowd is crowd


def test_fields_that_the_authors_add_or_leave_out(tmp_path):
    raw = small()
    raw["annotations"][0] |= {"occlusion": ["no_occlusion"] * 3, "bboxes": None, "iscrowd": 0, "areas": None}
    del raw["videos"][0]["length"]
    raw["videos"][1]["length"] = None
    assert read_ytvis(write(tmp_path, raw), None).num_tracks == 3


def test_a_track_that_is_never_visible_is_left_out(tmp_path):
    raw = small()
    raw["annotations"][1]["segmentations"] = [None, [], {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH]}]
    assert [t.id for t in read_ytvis(write(tmp_path, raw), None).tracks[0]] == [3]


@given(pixels=st.lists(st.booleans(), min_size=HEIGHT * WIDTH, max_size=HEIGHT * WIDTH))
def test_every_form_of_a_mask_is_the_same_mask(pixels):
    full = np.array(pixels, np.uint8).reshape(HEIGHT, WIDTH)
    official = coco.encode(np.asfortranarray(full))
    uncompressed = rle(*map(tuple, np.argwhere(full)))
    compressed = {**official, "counts": official["counts"].decode()}
    for form in (uncompressed, compressed):
        read, area = read_segmentation(form, HEIGHT, WIDTH)
        assert np.array_equal(coco.decode(read), full)
        assert area == full.sum()
        assert read == official
    assert decode_runs(official["counts"]).tolist() == uncompressed["counts"]


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=60))
def test_runs_of_any_length_are_decoded(counts):
    size = [1, sum(counts)]
    text = coco.frPyObjects({"size": size, "counts": counts}, *size)["counts"]
    assert decode_runs(text).tolist() == counts


def test_a_polygon_is_filled():
    read, area = read_segmentation([[1, 1, 4, 1, 4, 3, 1, 3]], HEIGHT, WIDTH)
    assert np.array_equal(coco.decode(read)[1:3, 1:4], np.ones((2, 3)))
    assert area == 6


@pytest.mark.parametrize("far", [13, -7, 1e9, 1e12, -1e12, 1e300, 2**62])
def test_a_polygon_far_outside_the_frame_is_refused(far):
    """pycocotools would crash, and take the process along."""
    with pytest.raises(RLEError, match="far outside the frame of 4 x 6") as caught:
        read_segmentation([[0, 0, 5, 0, 5, 3], [1, 1, far, 1, 4, 3]], HEIGHT, WIDTH)
    assert caught.value.part == "[1]"


def test_a_polygon_may_leave_the_frame():
    _, area = read_segmentation(
        [[-WIDTH, -HEIGHT, 2 * WIDTH, -HEIGHT, 2 * WIDTH, 2 * HEIGHT, -WIDTH, 2 * HEIGHT]], 4, 6
    )
    assert area == HEIGHT * WIDTH


@given(st.binary(max_size=12) | st.text(max_size=12))
def test_no_text_gets_through_that_does_not_fit_the_frame(text):
    """pycocotools would write past its buffer."""
    try:
        read, area = read_segmentation({"size": [HEIGHT, WIDTH], "counts": text}, HEIGHT, WIDTH)
    except RLEError:
        return
    assert coco.decode(read).sum() == area


def track(i: int, **fields):
    return lambda raw: raw["annotations"][i].update(fields)


def video(i: int, **fields):
    return lambda raw: raw["videos"][i].update(fields)


def segmentation(value):
    return lambda raw: raw["annotations"][0]["segmentations"].__setitem__(1, value)


def drop(part: str, i: int, key: str):
    return lambda raw: raw[part][i].pop(key)


SEGMENTATION = "annotations[0].segmentations[1]"
FAULTS = {
    "no annotations": (lambda raw: raw.pop("annotations"), "annotations", "None", "no annotations"),
    "null annotations": (lambda raw: raw.update(annotations=None), "annotations", "None", "no annotations"),
    "no videos": (lambda raw: raw.pop("videos"), "videos", "None", "no videos"),
    "no categories": (lambda raw: raw.pop("categories"), "categories", "None", "no categories"),
    "not an object": (lambda raw: raw["videos"].append(5), "videos[2]", "5", "not an object"),
    "no id": (drop("annotations", 1, "id"), "annotations[1].id", "None", "missing"),
    "text id": (track(1, id="1"), "annotations[1].id", "'1'", "not a whole number"),
    "true id": (track(1, id=True), "annotations[1].id", "True", "not a whole number"),
    "negative id": (lambda raw: raw["categories"][0].update(id=-1), "categories[0].id", "-1", "negative"),
    "video id twice": (video(1, id=7), "videos[1].id", "7", "id of videos[0] too"),
    "track id twice": (track(2, id=3), "annotations[2].id", "3", "id of annotations[0] too"),
    "category id twice": (lambda raw: raw["categories"][1].update(id=5), "categories[1].id", "5", "too"),
    "category name twice": (
        lambda raw: raw["categories"][1].update(name="cat"),
        "categories[1].name",
        "'cat'",
        "name of categories[0] too",
    ),
    "category without name": (drop("categories", 1, "name"), "categories[1].name", "None", "missing"),
    "no height": (drop("videos", 0, "height"), "videos[0].height", "None", "missing"),
    "no width": (video(0, width=0), "videos[0].width", "0", "not a positive number"),
    "negative height": (video(1, height=-4), "videos[1].height", "-4", "not a positive number"),
    "wrong length": (video(0, length=3), "videos[0].length", "3", "file_names lists 2 frames"),
    "no frames": (video(0, file_names=[], length=0), "videos[0].file_names", "[]", "no frames"),
    "frame is a number": (video(0, file_names=["x", 3]), "videos[0].file_names[1]", "3", "name of a file"),
    "unknown video": (track(0, video_id=1), "annotations[0].video_id", "1", "no video has this id"),
    "unknown category": (track(0, category_id=1), "annotations[0].category_id", "1", "no category"),
    "no segmentations": (drop("annotations", 0, "segmentations"), "annotations[0].segmentations", "None", "missing"),
    "too few": (track(0, segmentations=[None]), "annotations[0].segmentations", "1", "video 0 has 3 frames"),
    "too many": (track(2, segmentations=[None] * 3), "annotations[2].segmentations", "3", "has 2 frames"),
    "a number": (segmentation(5), SEGMENTATION, "5", "neither polygons nor RLE nor null"),
    "no size": (segmentation({"counts": [24]}), f"{SEGMENTATION}.size", "None", "missing"),
    "no counts": (segmentation({"size": [4, 6]}), f"{SEGMENTATION}.counts", "None", "missing"),
    "swapped size": (
        segmentation({"size": [6, 4], "counts": [24]}),
        f"{SEGMENTATION}.size",
        "[6, 4]",
        "the video is 4 x 6",
    ),
    "runs too short": (segmentation({"size": [4, 6], "counts": [20, 3]}), f"{SEGMENTATION}.counts", "23", "= 24"),
    "compressed too long": (
        segmentation({"size": [4, 6], "counts": "Y1"}),
        f"{SEGMENTATION}.counts",
        "41",
        "= 24",
    ),
    "negative run": (
        segmentation({"size": [4, 6], "counts": [30, -6]}),
        f"{SEGMENTATION}.counts",
        "-6",
        "negative",
    ),
    "runs that wrap around": (
        segmentation({"size": [4, 6], "counts": [2**63 - 1, 2**63 - 1, 26]}),
        f"{SEGMENTATION}.counts",
        str(2**63 - 1),
        "longer than the frame",
    ),
    "broken run": (segmentation({"size": [4, 6], "counts": [20.5, 3.5]}), f"{SEGMENTATION}.counts", "20.5", "whole"),
    "no runs": (segmentation({"size": [4, 6], "counts": []}), f"{SEGMENTATION}.counts", "[]", "whole numbers"),
    "text runs": (segmentation({"size": [4, 6], "counts": ["24"]}), f"{SEGMENTATION}.counts", "['24']", "whole"),
    "not compressed": (segmentation({"size": [4, 6], "counts": "!!"}), f"{SEGMENTATION}.counts", "'!!'", "RLE"),
    "cut compressed": (segmentation({"size": [4, 6], "counts": "Yo"}), f"{SEGMENTATION}.counts", "'Yo'", "RLE"),
    "null counts": (segmentation({"size": [4, 6], "counts": None}), f"{SEGMENTATION}.counts", "None", "neither"),
    "odd polygon": (segmentation([[1, 2, 3, 4, 5]]), f"{SEGMENTATION}[0]", "[1, 2, 3, 4, 5]", "not a polygon"),
    "nested polygon": (segmentation([[[1, 2], [3, 4]]]), f"{SEGMENTATION}[0]", "[[1, 2], [3, 4]]", "not a polygon"),
    "infinite polygon": (
        segmentation([[1, 2, 3, 4, 5, float("nan")]]),
        f"{SEGMENTATION}[0]",
        "[1, 2, 3, 4, 5, nan]",
        "not finite",
    ),
    "too few areas": (track(0, areas=[1]), "annotations[0].areas", "1", "3 segmentations"),
    "text area": (track(0, areas=[None, "2", 1]), "annotations[0].areas[1]", "'2'", "not an area"),
    "negative area": (track(0, areas=[None, -2, 1]), "annotations[0].areas[1]", "-2", "not an area"),
    "huge area": (track(0, areas=[None, 10**400, 1]), "annotations[0].areas[1]", "10000", "not an area"),
    "text crowd": (track(0, iscrowd="no"), "annotations[0].iscrowd", "'no'", "not 0 or 1"),
    "crowd of 2": (track(0, iscrowd=2), "annotations[0].iscrowd", "2", "not 0 or 1"),
    "crowd of a half": (track(0, iscrowd=0.5), "annotations[0].iscrowd", "0.5", "not 0 or 1"),
    "id of 64 bits": (track(0, id=2**63), "annotations[0].id", str(2**63), "does not fit 64 bits"),
    "width beyond JPEG": (video(0, width=2**16), "videos[0].width", "65536", "65535 at most"),
    "absolute name": (video(0, file_names=["b/0", "/b/1"]), "videos[0].file_names[1]", "'/b/1'", "leads out of"),
    "name above": (video(0, file_names=["b/0", "b/../../1"]), "videos[0].file_names[1]", "'b/../../1'", "leads out"),
    "far polygon": (segmentation([[1, 2, 3, 4, 5, 1e9]]), f"{SEGMENTATION}[0]", "1000000000.0", "far outside"),
    "infinite area": (track(0, areas=[None, float("inf"), 1]), "annotations[0].areas[1]", "inf", "not an area"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_by_file_field_and_value(tmp_path, name):
    breaks, field, value, what = FAULTS[name]
    raw = copy.deepcopy(small())
    breaks(raw)
    path = write(tmp_path, raw)
    with pytest.raises(UserError) as caught:
        read_ytvis(path, None)
    message = str(caught.value)
    assert message.startswith(f"{path}: {field}: ")
    assert value in message.removeprefix(f"{path}: {field}: ").partition(": ")[0]
    assert what in message
    assert re.search(r"; .*(download|mend|use)", message)
    assert "\n" not in message
    assert not list((tmp_path / "cache").rglob("*.npz"))


@pytest.mark.parametrize(("text", "reason"), [("", "line 1"), ('{"videos": [', "line 1 column 13"), ("[1]", "list")])
def test_a_cut_off_file(tmp_path, text, reason):
    path = tmp_path / "cut.json"
    path.write_text(text)
    with pytest.raises(UserError, match=rf"cut\.json: .*{reason}"):
        read_ytvis(path, None)


def test_a_file_that_is_not_text(tmp_path):
    path = tmp_path / "zipped.json"
    path.write_bytes(b"PK\x03\x04\xff\xfe\x00")
    with pytest.raises(UserError, match=r"zipped\.json: .*is not JSON; .*download it again"):
        read_ytvis(path, None)


def test_a_missing_file_and_a_missing_folder(tmp_path):
    with pytest.raises(UserError, match=r"gone\.json: .*cannot be read: No such file"):
        read_ytvis(tmp_path / "gone.json", None)
    with pytest.raises(UserError, match=r"frames: the folder of the frames does not exist; .*--data"):
        read_ytvis(write(tmp_path, small()), tmp_path / "frames")


@needs_realvis
def test_real_videos_in_both_encodings_are_the_same():
    compressed = read_ytvis(REALVIS / "instances.json", REALVIS / "JPEGImages")
    uncompressed = read_ytvis(REALVIS / "instances_uncompressed_rle.json", REALVIS / "JPEGImages")
    again = read_ytvis(REALVIS / "instances_uncompressed_rle.json", REALVIS / "JPEGImages")
    assert again == uncompressed
    assert (len(compressed), compressed.num_tracks, len(compressed.categories)) == (39, 55, 49)
    assert compressed.videos == uncompressed.videos
    assert compressed.tracks == uncompressed.tracks
    assert all(path.is_file() for video in compressed.videos for path in video.frames)
    raw = json.loads((REALVIS / "instances.json").read_text())
    read = {track.id: track for track in compressed.all_tracks}
    for annotation in raw["annotations"]:
        track = read[annotation["id"]]
        assert (track.video_id, track.category_id) == (annotation["video_id"], annotation["category_id"])
        assert list(track.areas) == annotation["areas"]
        assert [s["counts"].decode() for s in track.segmentations] == [s["counts"] for s in annotation["segmentations"]]


@pytest.mark.parametrize(
    ("videos", "remedy"), [({}, "--from coco; or .* pseudo-videos"), ({"videos": []}, "--from coco-video")]
)
def test_a_file_of_coco_is_known_as_such(tmp_path, videos, remedy):
    raw = {**videos, "images": [{"id": 1}], "annotations": [{"id": 1, "image_id": 1}], "categories": []}
    with pytest.raises(UserError, match=f"images: '1 images': is a file of COCO, not of YouTube-VIS; .*{remedy}"):
        read_ytvis(write(tmp_path, raw), None)
    raw.update(small(), annotations=[*small()["annotations"]])  # of YouTube-VIS, with a key that nobody knows
    assert len(read_ytvis(write(tmp_path, raw), None)) == 2
