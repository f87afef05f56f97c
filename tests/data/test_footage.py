"""A user's video files and folders of frames."""

import numpy as np
import pytest
from PIL import Image

from cvis.data.footage import extract, footage
from cvis.data.frames import read_frames
from cvis.errors import UserError

av = pytest.importorskip("av")

GREYS = (20, 90, 160, 230)


def video_file(path, rotation=0, size=(24, 40)):
    """One grey per frame; the upper left quarter is black."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=5, options={"crf": "10"})
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        if rotation:
            stream.set_display_rotation(rotation)
        for grey in GREYS:
            frame = np.full((*size, 3), grey, np.uint8)
            frame[: size[0] // 2, : size[1] // 2] = 0
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode())
    return path


def folder(path, names, size=(40, 24)):
    path.mkdir()
    for n, name in enumerate(names):
        Image.new("RGB", size, (n, n, n)).save(path / name)
    return path


def test_a_video_file_becomes_frames_that_vanish_afterwards(tmp_path):
    with footage([video_file(tmp_path / "walk.mp4")]) as (video,):
        assert (video.id, video.name, video.height, video.width, len(video)) == (1, "walk", 24, 40, 4)
        frames = read_frames(video.frames, 24, 40)
        assert np.abs(frames[:, 16:, 26:].mean(axis=(1, 2, 3)) - GREYS).max() < 4
        assert frames[:, :8, :14].max() < 12
    assert not any(path.exists() for path in video.frames)
    assert [p.name for p in tmp_path.iterdir()] == ["walk.mp4"]


@pytest.mark.parametrize(("rotation", "corner"), [(90, (-1, 0)), (-90, (0, -1)), (180, (-1, -1))])
def test_a_video_file_is_turned_as_its_maker_held_the_phone(tmp_path, rotation, corner):
    """``rotation`` turns the stored picture counter-clockwise; the black corner goes with it."""
    if not hasattr(av.video.stream.VideoStream, "set_display_rotation"):
        pytest.skip("this PyAV cannot write a rotation")
    with footage([video_file(tmp_path / "phone.mp4", rotation)]) as (video,):
        assert (video.height, video.width) == ((24, 40) if rotation == 180 else (40, 24))
        frame = read_frames(video.frames[-1:], video.height, video.width)[0]
        dark = {(i, j) for i in (0, -1) for j in (0, -1) if frame[i, j].max() < 60}
        assert dark == {corner}


def test_every_nth_frame(tmp_path):
    pictures = folder(tmp_path / "pictures", [f"{n}.png" for n in range(7)])
    with footage([video_file(tmp_path / "walk.mp4"), pictures], every=3) as (walk, frames):
        assert len(walk) == 2
        assert [path.name for path in frames.frames] == ["0.png", "3.png", "6.png"]
        assert np.abs(read_frames(walk.frames, 24, 40)[:, 20, 35, 0].astype(int) - [20, 230]).max() < 4


def test_frames_to_annotate(tmp_path):
    walk = video_file(tmp_path / "walk.mp4")
    assert extract([walk], tmp_path / "out", every=3) == {"walk": 2}
    files = sorted((tmp_path / "out" / "walk").iterdir())
    assert [file.name for file in files] == ["000000.jpg", "000003.jpg"]
    assert np.abs(read_frames(files, 24, 40)[:, 20, 35, 0].astype(int) - [20, 230]).max() < 4
    for fps, numbers in [(2.5, [0, 2]), (2, [0, 3]), (60, [0, 1, 2, 3])]:  # it has 5 a second
        extract([walk], tmp_path / f"at{fps}", fps=fps)
        assert [int(file.stem) for file in sorted((tmp_path / f"at{fps}" / "walk").iterdir())] == numbers
    for fps, every in [(0, 1), (float("nan"), 1), (2, 3)]:
        with pytest.raises(UserError, match=f"--fps {fps:g}: must be above 0, and without --every"):
            extract([walk], tmp_path / "more", every, fps)
    for paths, says in [([walk, walk], "called walk too"), ([tmp_path], "is no file")]:
        with pytest.raises(UserError, match=says):
            extract(paths, tmp_path / "more")
    assert not (tmp_path / "more").exists()


def test_a_folder_is_sorted_as_people_count(tmp_path):
    pictures = folder(tmp_path / "pictures", ["f10.jpg", "f9.jpg", "f1.JPG", "F2.png"])
    (pictures / "notes.txt").write_text("x")
    (pictures / ".hidden.png").write_text("x")
    with footage([pictures]) as (video,):
        assert [path.name for path in video.frames] == ["F2.png", "f1.JPG", "f9.jpg", "f10.jpg"]
        assert (video.name, video.height, video.width) == ("pictures", 24, 40)
    assert all(path.exists() for path in video.frames)


def test_equal_names_are_told_apart(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    paths = [folder(tmp_path / part / "frames", ["0.png"]) for part in "ab"]
    with footage(paths) as videos:
        assert [(video.id, video.name) for video in videos] == [(1, "frames"), (2, "frames-2")]


def bad_inputs(tmp_path):
    text = tmp_path / "notes.mp4"
    text.write_text("no video")
    cut = video_file(tmp_path / "cut.mp4")
    cut.write_bytes(cut.read_bytes()[:300])
    mixed = folder(tmp_path / "mixed", ["1.png"])
    Image.new("RGB", (8, 8)).save(mixed / "2.png")
    broken = folder(tmp_path / "broken", ["1.png"])
    (broken / "2.png").write_bytes(b"\x89PNG")
    empty = tmp_path / "empty"
    empty.mkdir()
    return {
        tmp_path / "gone.mp4": "gone.mp4: does not exist",
        text: "notes.mp4: cannot be read as a video",
        cut: "cut.mp4: cannot be read as a video",
        mixed: r"mixed: 2.png: is 8x8, 1.png 40x24",
        broken: "2.png: this frame cannot be read",
        empty: "empty: has no frames",
    }


def test_what_is_no_video_is_named(tmp_path):
    for path, message in bad_inputs(tmp_path).items():
        with pytest.raises(UserError, match=message) as error, footage([path]):
            pass
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=r"--every 0"), footage([], every=0):
        pass
