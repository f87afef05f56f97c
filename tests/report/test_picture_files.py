"""Pictures on disk, read back by another path: PyAV's decoder and Pillow."""

import sys

import numpy as np
import pytest
from picture_videos import grey_video, read_mp4, rectangle, tracks
from PIL import Image

from cvis.errors import UserError
from cvis.report.pictures.files import check_format, write_mp4, write_panels
from cvis.report.pictures.panels import Panels, predicted_panel

av = pytest.importorskip("av")

COLOURS = [(220, 40, 40), (40, 200, 40), (50, 60, 230), (128, 128, 128)]


def plain(height=33, width=47):
    return [np.full((height, width, 3), colour, np.uint8) for colour in COLOURS]


def test_a_video_is_read_back_with_its_frames_and_colours(tmp_path):
    path = tmp_path / "out" / "a.mp4"
    write_mp4(iter(plain()), path, fps=5)
    frames = read_mp4(path)
    assert [frame.shape for frame in frames] == [(34, 48, 3)] * 4  # padded to even sides
    for frame, colour in zip(frames, COLOURS, strict=True):
        assert np.abs(frame[5:25, 5:35].astype(int) - colour).mean() < 8
    assert [p.name for p in path.parent.iterdir()] == ["a.mp4"]  # nothing half-written


def test_a_video_is_what_browsers_play(tmp_path):
    write_mp4(plain(), tmp_path / "a.mp4", fps=12.5)
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert stream.average_rate == 12.5
    content = (tmp_path / "a.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")  # the index comes first


def test_equal_frames_give_equal_files(tmp_path):
    for name in ("a", "b"):
        write_mp4(plain(), tmp_path / f"{name}.mp4")
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_frames_that_do_not_fit_leave_no_file(tmp_path):
    with pytest.raises(ValueError, match=r"frame 1"):
        write_mp4([plain()[0], plain()[0][:8]], tmp_path / "a.mp4")
    with pytest.raises(ValueError, match=r"at least one frame"):
        write_mp4([], tmp_path / "a.mp4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fps", [0, -1, 1000, float("nan")])
def test_a_frame_rate_is_positive(tmp_path, fps):
    with pytest.raises(UserError, match=r"--fps"):
        write_mp4(plain(), tmp_path / "a.mp4", fps)


def test_a_missing_encoder_is_named_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(av, "codecs_available", {"mpeg4"})
    with pytest.raises(UserError, match=r"libx264: this build of PyAV .* write a \.png"):
        check_format(tmp_path / "a.mp4")
    check_format(tmp_path / "a.png")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UserError, match=r"PyAV cannot be imported"):
        write_mp4(plain(), tmp_path / "a.mp4")


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"--out .*'\.gif'"):
        check_format(tmp_path / "a.gif")


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.JPEG"])
def test_panels_become_a_video_or_one_picture(tmp_path, name):
    panel = predicted_panel("step 0", tracks(rectangle(10, 10, 20, 20)), {1: "cat"})
    panels = Panels(grey_video(tmp_path), (panel,))
    write_panels(panels, tmp_path / "a.mp4")
    assert len(read_mp4(tmp_path / "a.mp4")) == 3
    write_panels(panels, tmp_path / name)
    with Image.open(tmp_path / name) as image:
        assert image.format == ("PNG" if name.endswith("png") else "JPEG")
        assert np.abs(np.asarray(image.convert("RGB")).astype(int) - panels.still()).mean() < 2
