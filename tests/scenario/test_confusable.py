"""The stream of easily confused classes is what its file says: a shape a step, in textures measured to be near."""

import itertools

import cv2
import numpy as np

from cvis.data.looks import SHAPES, TEXTURES, Surface
from cvis.scenario.order import divide
from cvis.scenario.spec import find_scenario, read_spec

BASE, *STEPS = divide(
    read_spec(find_scenario("synthetic-confusable-20-4")).order, 20, 4, "synthetic-confusable-20-4"
)  # fmt: skip


def parts(names):
    """Textures and shapes of classes."""
    return [set(part) for part in zip(*(name.rsplit("_", 1) for name in names), strict=True)]


def test_a_step_is_one_shape_in_four_textures_and_the_base_classes_hold_all():
    assert parts(BASE) == [set(TEXTURES), set(SHAPES)]
    assert [shapes for _, shapes in map(parts, STEPS)] == [{shape} for shape in SHAPES]
    halves = [frozenset(textures) for textures, _ in map(parts, STEPS)]
    assert set(map(len, halves)) == {4}
    assert set(halves) == {halves[0], frozenset(TEXTURES) - halves[0]}


def mean_colour(texture, rng):
    """CIELAB, the mean of 60 surfaces."""
    surfaces = [Surface.draw(texture, rng).paint((20, 20), 15, 0, (40, 40)) for _ in range(60)]
    images = [cv2.cvtColor(np.ascontiguousarray(s, np.float32) / 255, cv2.COLOR_RGB2LAB) for s in surfaces]
    return np.mean(images, axis=(0, 1, 2), dtype=float)


def test_its_textures_are_halved_where_they_are_nearest():
    rng = np.random.default_rng(0)
    colours = {texture: mean_colour(texture, rng) for texture in TEXTURES}

    def spread(textures):
        pairs = list(itertools.combinations(sorted(textures), 2))
        return sum(np.linalg.norm(colours[a] - colours[b]) for a, b in pairs) / len(pairs)

    halvings = {
        frozenset({frozenset(half), frozenset(TEXTURES) - frozenset(half)})
        for half in itertools.combinations(TEXTURES, 4)
    }
    nearest = min(halvings, key=lambda halves: sum(map(spread, halves)))
    assert len(halvings) == 35
    assert nearest == {frozenset(parts(step)[0]) for step in STEPS}
    assert sum(map(spread, nearest)) / 2 < 0.85 * spread(TEXTURES)
