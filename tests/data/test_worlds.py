"""The worlds of shape and of motion: names say what they promise, and texture says nothing."""

import itertools
import json

import numpy as np
import pytest

from cvis.data.looks import EXTENT, HOLES, RIMS, SHAPES, TEXTURES, Surface, coverage
from cvis.data.motions import MOTIONS, way
from cvis.data.scenes import MIN_VISIBLE, draw_scene
from cvis.data.synthetic import make_synthetic
from cvis.data.worlds import WORLDS
from cvis.errors import UserError

PARTS = {"texture": (TEXTURES, SHAPES), "shape": (HOLES, RIMS), "motion": (MOTIONS, SHAPES)}
TURNS = np.deg2rad((-20, 0, 20))  # as far as objects of these videos turn


@pytest.mark.parametrize("world", WORLDS)
def test_base_classes_hold_every_part_of_every_name(world):
    names = [tuple(name.rsplit("_", 1)) for name in WORLDS[world].names]
    assert set(names) == set(itertools.product(*PARTS[world]))
    assert [set(part) for part in zip(*names[:20], strict=True)] == [set(parts) for parts in PARTS[world]]


@pytest.mark.parametrize("world", ["shape", "motion"])
def test_surfaces_are_drawn_whatever_the_class(world, monkeypatch):
    drawn = []
    draw = Surface.draw
    monkeypatch.setattr(Surface, "draw", lambda texture, rng: drawn.append(texture) or draw(texture, rng))
    of_class = []
    for index in (0, 7, 26):
        drawn.clear()
        for seed in range(40):
            WORLDS[world].place(np.random.default_rng(seed), [index], 3, (64, 96))
        of_class.append(tuple(drawn))
    assert len(set(of_class)) == 1
    assert set(of_class[0]) == set(TEXTURES)


def masks(shape):
    """At the least radius of a video, in three turns."""
    return [coverage(shape, (24, 24), 11.5, turn, (48, 48)) > 0.5 for turn in TURNS]


def test_holed_shapes_are_symmetric_distinct_and_inside_their_extent():
    drawn = {name: masks(name) for name in WORLDS["shape"].names}
    for name, (_, upright, _) in drawn.items():
        assert (upright != upright[:, ::-1]).sum() <= 0.05 * upright.sum(), name
        y, x = np.nonzero(coverage(name, (64, 64), 30, 0.0, (128, 128)) > 0.5)
        assert np.hypot(y - 63.5, x - 63.5).max() < EXTENT * 30, name
    for one, other in itertools.combinations(drawn, 2):
        ious = [(a & b).sum() / (a | b).sum() for a, b in itertools.product(drawn[one], drawn[other])]
        assert max(ious) < 0.95, (one, other)


@pytest.mark.parametrize("motion", MOTIONS)
def test_a_way_is_as_it_is_called(motion):
    ups, rights, sizes = [], [], []
    for seed in range(50):
        middle = np.array([48.0, 32.0])
        centres, radii = way(motion, np.random.default_rng(seed), middle, 10, (64, 96))
        assert centres.shape == (10, 2)
        ups.append(-np.diff(centres[:, 1]))
        rights.append(np.diff(centres[:, 0]))
        sizes.append(np.diff(np.log(radii)))
    moves = {"x": np.array(rights), "y": np.array(ups), "size": np.array(sizes)}  # each [50, 9]
    expected = {"rising": ("y", 1), "sinking": ("y", -1), "growing": ("size", 1), "shrinking": ("size", -1),
                "swaying": ("x", 0), "bobbing": ("y", 0), "pulsing": ("size", 0)}  # fmt: skip
    axis, direction = expected.get(motion, (None, 0))
    for name, steps in moves.items():
        assert (np.abs(steps).max() > 0.01) == (name == axis)
    if direction:
        assert (np.sign(moves[axis]) == direction).all()
    elif axis:
        assert all(np.unique(np.sign(row)).size == 2 for row in moves[axis])  # to and fro


def test_a_single_frame_is_drawn_alike_whatever_the_motion():
    """The middle of the video: nothing has moved yet, or has moved as far as a swing may have."""
    frames = []
    for motion in ("still", "rising", "sinking", "growing", "shrinking"):
        centres, radii = way(motion, np.random.default_rng(3), np.array([40.0, 30.0]), 11, (64, 96))
        frames.append((*centres[5], radii[5]))
    assert len(set(frames)) == 1


@pytest.mark.parametrize("world", ["shape", "motion"])
def test_scenes_show_every_object(world):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        scene = draw_scene(rng, rng.integers(0, 40, 3).tolist(), 10, (64, 96), WORLDS[world].place)
        assert (scene.masks.sum((2, 3)) >= MIN_VISIBLE).any(1).all()


def test_a_folder_says_which_world_it_holds(tmp_path):
    size = {"train_videos": 1, "test_videos": 1, "frames": 2}
    make_synthetic(tmp_path / "shape", **size, world="shape")
    document = json.loads((tmp_path / "shape" / "train.json").read_text())
    assert [category["name"] for category in document["categories"]] == WORLDS["shape"].names
    with pytest.raises(UserError, match="world: made with world=shape, asked for motion; remove"):
        make_synthetic(tmp_path / "shape", **size, world="motion")
    with pytest.raises(UserError, match="world: 'sound': must be one of texture, shape, motion"):
        make_synthetic(tmp_path / "new", **size, world="sound")
    with pytest.raises(UserError, match="crossings: 40: objects cross in the world of textures only"):
        make_synthetic(tmp_path / "new", **size, world="shape", crossings=40)
