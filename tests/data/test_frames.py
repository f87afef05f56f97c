from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvis.data.frames import check_frame, read_frame, read_frames
from cvis.errors import UserError


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "0.jpg", quality=95)
    return tmp_path / "0.jpg"


def test_frames_are_rgb_in_the_order_given(tmp_path):
    for name, colour in (("red", (255, 0, 0)), ("blue", (0, 0, 255))):
        Image.new("RGB", (6, 4), colour).save(tmp_path / f"{name}.png")
    frames = read_frames([tmp_path / "blue.png", tmp_path / "red.png"], 4, 6)
    assert frames.shape == (2, 4, 6, 3)
    assert frames.dtype == np.uint8
    assert frames[0, 0, 0].tolist() == [0, 0, 255]
    assert frames[1, 3, 5].tolist() == [255, 0, 0]


def test_a_grey_picture_has_three_equal_channels(tmp_path):
    Image.new("L", (6, 4), 77).save(tmp_path / "grey.png")
    assert (read_frames([tmp_path / "grey.png"], 4, 6) == 77).all()


def test_no_frames():
    assert read_frames([], 4, 6).shape == (0, 4, 6, 3)


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, -2])
def test_a_cut_off_file_is_named(picture, kept):
    data = picture.read_bytes()
    stop = int(len(data) * kept) if isinstance(kept, float) else kept
    picture.write_bytes(data[:stop])
    with pytest.raises(UserError, match=r"0\.jpg: .*cannot be read; copy or unpack this file again") as caught:
        read_frames([picture], 40, 60)
    assert "\n" not in str(caught.value)


def test_a_folder_in_place_of_a_file(tmp_path):
    with pytest.raises(UserError, match=r"Is a directory"):
        read_frames([tmp_path], 40, 60)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"gone\.jpg: this frame does not exist; .*--data"):
        read_frames([tmp_path / "gone.jpg"], 40, 60)


def test_a_wrong_size_names_both_sizes(picture):
    with pytest.raises(UserError, match=r"0\.jpg: size: 60x40: the annotation file says 40x60"):
        read_frames([picture], 60, 40)


@pytest.mark.parametrize("options", [{}, {"progressive": True, "subsampling": 2}])
def test_a_check_finds_what_a_reader_finds(picture, options):
    Image.open(picture).save(picture.with_name("1.jpg"), quality=80, **options)
    whole, path = picture.with_name("1.jpg").read_bytes(), picture
    rng, found = np.random.default_rng(0), []
    for n in range(60):
        data = bytearray(whole[: int(rng.integers(len(whole) // 2, len(whole))) if n % 2 else None])
        data[int(rng.integers(len(data)))] = int(rng.integers(256))
        path.write_bytes(data)
        found.append([outcome(read, path) for read in (read_frame, check_frame)])
        assert found[-1][0] == found[-1][1]
    assert {"sound"} < {one for one, _ in found}


def outcome(read, path) -> str:
    try:
        read(path, 40, 60)
    except UserError as error:
        return str(error)
    return "sound"
