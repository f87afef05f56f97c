"""Videos made of images."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco_mask
from scipy.ndimage import affine_transform
from typer.testing import CliRunner

from cvis.cli.app import app
from cvis.data.clips import ClipDataset, ClipSampling
from cvis.data.images import in_classes_of, read_coco
from cvis.data.pseudo import MixedClips, Motion, PseudoClips, recoloured
from cvis.data.warp import Pose, Warp
from cvis.data.ytvis import read_ytvis
from cvis.errors import UserError
from cvis.types import Category

COLOURS = {"red": (250, 10, 10), "green": (10, 250, 10), "blue": (10, 10, 250), "yellow": (250, 250, 10)}
HOW = ClipSampling(num_frames=3, short_sides=(48, 64), flip=0.5)


def write_images(root, classes=tuple(COLOURS), count=4, height=80, width=120):
    """Image n, of ``width`` - n columns, has a rectangle of class n on the left and one of class n + 1 on the right."""
    (root / "images").mkdir()
    images, annotations = [], []
    for n in range(count):
        size = height, width - n
        picture = np.full((*size, 3), (124, 116, 104), np.uint8)
        for k, (left, name) in enumerate(zip((25, 68), (classes * 2)[n : n + 2], strict=True)):
            mask = np.zeros(size, np.uint8)
            mask[28 + 4 * k : 56, left : left + 30] = 1
            picture[mask > 0] = COLOURS.get(name, (0, 0, 0))
            polygon = [[left, 28 + 4 * k, left + 30, 28 + 4 * k, left + 30, 56, left, 56]]
            code = coco_mask.encode(np.asfortranarray(mask))
            segmentation = polygon if k else {"size": list(size), "counts": code["counts"].decode()}
            annotations.append(
                {"id": len(annotations) + 1, "image_id": n + 1, "category_id": 5 + classes.index(name), "iscrowd": 0,
                 "segmentation": segmentation, "bbox": [0, 0, 1, 1], "area": 1.5}
            )  # fmt: skip
        Image.fromarray(picture).save(root / "images" / f"{n}.png")
        images.append({"id": n + 1, "file_name": f"{n}.png", "height": height, "width": width - n})
    categories = [{"id": i, "name": name} for i, name in enumerate(classes, start=5)]
    file = root / "instances.json"
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return file


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp("coco"))


@pytest.fixture(scope="module")
def images(file):
    return read_coco(file)


def test_masks_are_an_independent_warp_of_the_full_size_ones():
    rng = np.random.default_rng(0)
    for _ in range(20):
        mask, (height, width) = rng.random((37, 53)) > 0.5, rng.integers(10, 60, 2)
        x, y, angle, scale = rng.uniform(5, 40), rng.uniform(5, 30), rng.uniform(-3, 3), rng.uniform(0.3, 3)
        found = Warp(Pose(x, y, angle, scale), height, width).masks(mask[None])[0]
        # rows first, and whole numbers are centres there
        turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        start = np.array([y, x]) - 0.5 - turn @ (np.array([height, width]) / 2 - 0.5)
        padded = np.pad(mask, 1).astype(np.uint8)  # what lies within half a pixel outside is nobody's
        expected = affine_transform(padded, turn, start + 1, (height, width), order=0, mode="constant", prefilter=False)
        assert (found == (expected > 0)).all()
    upright = Warp(Pose(26.5, 18.5, 0.0, 1.0), 37, 53)
    assert (upright.masks(mask[None])[0] == mask).all()
    picture = rng.integers(0, 256, (37, 53, 3), dtype=np.uint8)
    assert (upright.frame(picture) == picture).all()


def test_every_instance_keeps_its_row_and_its_pixels(images):
    """Also of pasted ones, which hide what lies behind them: each class has a colour of its own."""
    clips = PseudoClips(images, HOW, Motion(colour=0.0, paste=0.5))
    names = {c.id: c.name for c in images.categories}
    pasted, wrong, hidden = 0, [], 0
    for seed in range(60):
        sample = clips[seed % len(clips), seed]
        assert sample.frames.shape[-2:] == sample.masks.shape[-2:]
        assert (sample.masks.sum(0) <= 1).all()
        pasted += len(sample.category_ids) > 2
        hidden += bool((~sample.masks.flatten(2).any(-1)).any())
        pixels = sample.frames.permute(0, 2, 3, 1).int()
        for category in set(sample.category_ids.tolist()):
            mask = sample.masks[sample.category_ids == category].any(0)
            coloured = (pixels - torch.tensor(COLOURS[names[category]])).abs().sum(-1) < 190  # half way to the ground
            wrong.append(float((mask != coloured).sum() / mask.sum().clamp(min=50)))
    assert pasted > 10
    assert hidden
    assert np.mean(wrong) < 0.02
    assert max(wrong) < 0.2  # the pixels of the edges


def test_the_camera_moves_and_stays_within_its_bounds(images):
    image, rng = images.videos[0], np.random.default_rng(0)
    for _ in range(30):
        poses = Motion(rotation=10, zoom=1.5).poses(rng, image, (40, 60), 5)
        assert len({pose.x for pose in poses}) == 5
        for pose in poses:
            assert abs(np.rad2deg(pose.angle)) <= 10
            assert 2 / 1.5 <= pose.scale <= 2
            assert pose.scale * 30 - 1e-9 <= pose.x <= 120 - pose.scale * 30 + 1e-9
    still = Motion(rotation=0, zoom=1).poses(rng, image, (80, 120), 2)
    assert still == [Pose(60.0, 40.0, 0.0, 1.0)] * 2
    for field, value in (("rotation", 181), ("zoom", 0.5), ("colour", 1), ("paste", 2)):
        with pytest.raises(UserError, match=f"pseudo-videos: {field}: {value}: must be"):
            Motion(**{field: value})


def test_colours_change_as_said():
    frames = np.random.default_rng(1).integers(60, 180, (2, 9, 9, 3), dtype=np.uint8)
    assert (recoloured(np.random.default_rng(0), frames, 0.0) == frames).all()
    changed = recoloured(np.random.default_rng(0), frames, 0.2).astype(float)
    assert 0 < np.abs(changed - frames).mean() < 40
    assert 0.79 < changed.mean() / frames.mean() < 1.21


def test_a_mixed_clip_is_a_pure_function_of_its_key(images):
    videos = ClipDataset(images, HOW)  # any videos will do; these are images as they are
    mixed = MixedClips(videos, PseudoClips(images, HOW, Motion()), ratio=3.0)
    assert len(mixed) == len(videos)
    of_images, shown = 0, set()
    for seed in range(80):
        one, again = mixed[seed % 4, seed], mixed[seed % 4, seed]
        assert torch.equal(one.frames, again.frames)
        assert torch.equal(one.masks, again.masks)
        if one.name.endswith("[image]"):
            of_images += 1
            shown.add(one.name)
        else:  # what it would be without any images
            alone = videos[seed % 4, seed]
            assert torch.equal(one.frames, alone.frames)
            assert one.name == alone.name
    assert 0.6 < of_images / 80 < 0.9
    assert len(shown) == 4


def test_coco_files_are_read_and_matched_by_name(file, images, tmp_path):
    assert [(v.id, v.width, v.frames[0].name) for v in images.videos] == [
        (n + 1, 120 - n, f"{n}.png") for n in range(4)
    ]
    left, right = images.tracks[1]
    assert (left.category_id, right.category_id) == (5, 6)
    assert coco_mask.area(left.segmentations[0]) == left.areas[0] == 28 * 30  # a file's areas of images are not used
    assert coco_mask.area(right.segmentations[0]) == 24 * 30
    stream = (Category(1, "Green"), Category(2, "sea lion"), Category(3, "RED"))
    matched, unmatched = in_classes_of(images, stream)
    assert unmatched == ["blue", "yellow"]
    assert [t.category_id for t in matched.all_tracks] == [3, 1, 1, 3]
    assert len(matched) == 4
    assert in_classes_of(images, stream[:1])[0].sha256 != matched.sha256
    content = json.loads(file.read_text())
    content["annotations"][2]["segmentation"] = [[1, 2]]
    for broken, message in (
        (content, r"annotations\[2\].segmentations\[0\]\[0\].*is not a polygon"),
        ({"videos": []}, "images: the file has no list of images"),
    ):
        (tmp_path / "broken.json").write_text(json.dumps(broken))
        with pytest.raises(UserError, match=message):
            read_coco(tmp_path / "broken.json")


def test_the_command_writes_a_set_that_the_reader_understands(file, tmp_path):
    def make(name, *options):
        return CliRunner().invoke(app, ["data", "pseudo-videos", str(file), str(tmp_path / name), *options])

    options = ("--videos", "6", "--frames", "4", "--short-side", "40", "--paste", "1")
    for name in ("a", "b"):
        assert make(name, *options).exit_code == 0
    made = read_ytvis(tmp_path / "a" / "instances.json", tmp_path / "a" / "JPEGImages", cache=False)
    assert [len(video) for video in made.videos] == [4] * 6
    assert {c.name for c in made.categories} == set(COLOURS)
    assert made.num_tracks > 12
    sample = ClipDataset(made, ClipSampling(num_frames=4, short_sides=(40,), flip=0))[0, 0]
    assert sample.frames.shape[-2] == 40
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)
    again = make("a")
    assert again.exit_code == 2
    assert "exists and is not an empty folder" in again.stderr
    assert "videos: 0: must be at least 1" in make("c", "--videos", "0").stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
