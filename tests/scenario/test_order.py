from __future__ import annotations

import pytest
from stream_videos import video_set

from cvis.errors import UserError
from cvis.scenario.order import divide, learning_order

NAMES = ["zebra", "Cat", "giant panda", "dog", "ant"]


@pytest.fixture
def videos():
    # zebra 1 video, Cat 3, giant panda 2 (4 instances), dog 3; ant never appears
    return video_set({1: [1, 2, 4], 2: [2, 4, 3, 3, 3], 3: [2, 3], 9: [4], 12: []}, 5, NAMES)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("file", (1, 2, 3, 4)),
        ("alphabetical", (2, 4, 3, 1)),
        ("frequency", (2, 4, 3, 1)),
        (["dog", "cat", "Giant_Panda", "zebra"], (4, 2, 3, 1)),
        ([4, "cat", 3, 1], (4, 2, 3, 1)),
        (["dog", "cat", "giant panda", "zebra", "ant"], (4, 2, 3, 1, 5)),
    ],
)
def test_orders(videos, order, expected):
    assert learning_order(order, videos, "s.toml") == expected


def test_random_order_is_a_fixed_function_of_the_seed(videos):
    big = video_set({1: list(range(1, 21))}, 20)
    orders = [learning_order(f"random:{seed}", big, "s.toml") for seed in range(5)]
    assert all(sorted(order) == list(range(1, 21)) for order in orders)
    assert len(set(orders)) == 5
    # pinned (sha256sum of "1:4", "1:2", "1:3", "1:1"): a later release must not shuffle differently
    assert learning_order("random:1", videos, "s.toml") == (4, 2, 3, 1)


def test_excluded_classes_leave_the_stream(videos):
    assert learning_order("file", videos, "s.toml", exclude=["cat"]) == (1, 3, 4)
    assert learning_order(["dog", "zebra"], videos, "s.toml", exclude=["cat", 3]) == (4, 1)


@pytest.mark.parametrize(
    ("order", "exclude", "expected"),
    [
        (["dog", "cat", "zebra"], [], "class order has 3 classes, data set has 4; missing: ['giant panda']"),
        (["dog", "cat", "zebra", "unicorn"], [], "order: 'unicorn': not a class"),
        (["dog", "cat", "zebra", 77], [], "order: 77: not a class"),
        (["dog", "cat", "zebra", "Dog"], [], "order: 'Dog': named twice"),
        ("by mood", [], "order: 'by mood': no such order"),
        ("random:x", [], "order: 'random:x': no such order"),
        ("random", [], "order: 'random': no such order"),
        (["dog", "cat", "zebra", 3], ["cat"], "exclude: ['Cat']: also in order"),
        ("file", ["unicorn"], "exclude: 'unicorn': not a class"),
    ],
)
def test_refused_orders_name_file_field_and_value(videos, order, exclude, expected):
    with pytest.raises(UserError) as caught:
        learning_order(order, videos, "s.toml", exclude)
    message = str(caught.value)
    assert message.startswith("s.toml: ")
    assert expected in message
    assert "\n" not in message


def test_ambiguous_name_needs_the_id():
    videos = video_set({1: [1, 2]}, 2, ["cat", "Cat"])
    with pytest.raises(UserError, match="give the id"):
        learning_order(["cat", "Cat"], videos, "s.toml")
    assert learning_order([2, 1], videos, "s.toml") == (2, 1)


def test_divide():
    assert divide(range(7), 3, 2, "s") == ((0, 1, 2), (3, 4), (5, 6))
    assert divide(range(7), 3, [3, 1], "s") == ((0, 1, 2), (3, 4, 5), (6,))
    assert divide(range(3), 3, 2, "s") == ((0, 1, 2),)


@pytest.mark.parametrize(
    ("base", "increment", "expected"),
    [
        (
            3,
            3,
            "increment: 3: 4 classes remain after base 3 of 7 and cannot be divided by it; "
            "choose one of [1, 2, 4], or list the steps: [3, 1]",
        ),
        (8, 1, "base: 8: the stream has only 7 classes"),
        (3, [2, 1], "increment: [2, 1]: adds up to 3, but 4 classes remain"),
    ],
)
def test_numbers_that_do_not_fit(base, increment, expected):
    with pytest.raises(UserError) as caught:
        divide(range(7), base, increment, "s.toml")
    assert expected in str(caught.value)
