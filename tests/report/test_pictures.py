"""Colours, identities, overlays and panels, against what can be said of them without drawing anything."""

import numpy as np
import pytest
from picture_videos import HEIGHT, WIDTH, grey_video, rectangle, tracks

from cvis.report.pictures.identities import PALETTE, colour_of, identities
from cvis.report.pictures.overlay import Box, Label, _candidates, _place, ink_on, overlay
from cvis.report.pictures.panels import Panel, Panels, contact_sheet, predicted_panel, truth_panel
from cvis.types import Track

LEFT, RIGHT = rectangle(10, 5, 30, 30), rectangle(10, 60, 30, 30)

# Machado, Oliveira and Fernandes 2009: how full protanopes and deuteranopes see linear RGB
PROTAN = np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]])
DEUTAN = np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]])


def lab(colour, sight):
    part = np.array(colour) / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(np.maximum(to_xyz @ np.clip(sight @ linear, 0, 1) / [0.9505, 1, 1.089], 0.008856))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("sight", [np.eye(3), PROTAN, DEUTAN], ids=["normal", "protanope", "deuteranope"])
def test_the_first_colours_differ_to_every_eye(sight):
    seen = [lab(colour_of(n), sight) for n in range(len(PALETTE))]
    distances = [np.linalg.norm(a - b) for n, a in enumerate(seen) for b in seen[:n]]
    assert min(distances) > 10  # 2.3 is a difference that can just be noticed


def test_twenty_one_identities_have_colours_of_their_own():
    assert len({colour_of(n) for n in range(21)}) == 21


def test_labels_can_be_read_on_every_colour():
    def luminance(colour):
        part = np.array(colour) / 255
        linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    for n in range(21):
        low, high = sorted((luminance(colour_of(n)), luminance(ink_on(colour_of(n)))))
        assert (high + 0.05) / (low + 0.05) >= 4.5  # what WCAG asks of small text


def test_an_object_keeps_its_identity_from_step_to_step():
    truth = tracks(LEFT, RIGHT)
    first = tracks(rectangle(11, 61, 30, 30), rectangle(40, 40, 20, 10))  # the right one, and one of its own
    second = tracks(rectangle(41, 40, 20, 10), rectangle(10, 6, 30, 30), rectangle(0, 0, 5, 5))
    assert identities([truth, first, second]) == [[0, 1], [1, 2], [2, 0, 3]]


def test_half_of_the_union_is_the_border():
    """15 of 30 columns: IoU exactly 0.5; 14: less."""
    truth = tracks(rectangle(0, 0, 30, 30))
    assert identities([truth, tracks(rectangle(0, 0, 30, 15))])[1] == [0]
    assert identities([truth, tracks(rectangle(0, 0, 30, 14))])[1] == [1]


def test_identity_is_of_the_whole_video_not_of_a_frame():
    moving = [LEFT, RIGHT, RIGHT]
    assert identities([tracks(LEFT, RIGHT), tracks(moving)])[1] == [1]


def test_annotated_tracks_are_never_merged_but_answers_for_one_object_are():
    twice = tracks(LEFT, LEFT)
    assert identities([twice]) == [[0, 1]]
    assert identities([twice], truth=False) == [[0, 0]]
    assert identities([tracks(), tracks(LEFT, rectangle(10, 5, 30, 28))], truth=True) == [[], [0, 0]]


def test_an_overlay_paints_inside_the_mask_and_leaves_the_frame_alone():
    frame = np.full((256, 384, 3), 100, np.uint8)
    mask = np.zeros((256, 384), bool)
    mask[100:200, 50:150] = True
    before = frame.copy()
    drawn = overlay(frame, [mask, None], [Label("cat", 0.5), Label("dog")], [(200, 0, 0), (0, 200, 0)])
    assert (frame == before).all()
    assert drawn[150, 100].tolist() == [150, 50, 50]  # half and half
    assert (drawn[220:, 200:] == 100).all()
    assert not (drawn == [0, 200, 0]).all(axis=2).any()  # what is absent has no contour and no label


@pytest.mark.parametrize("box", [Box(0, 0, 96, 64), Box(90, 0, 96, 4), Box(0, 60, 3, 64), Box(40, 30, 50, 40)])
def test_a_label_stays_inside_the_frame(box):
    for x, y in _candidates(box, (40, 15), (96, 64)):
        assert 0 <= x <= 56
        assert 0 <= y <= 49


def test_labels_avoid_each_other():
    places = []
    for _ in range(3):  # three labels for one mask
        places.append(_place(Box(40, 30, 60, 40), (50, 15), places, (384, 256)))
    assert [a.common(b) for n, a in enumerate(places) for b in places[:n]] == [0, 0, 0]


def test_a_long_name_is_cut_and_the_score_stays(tmp_path):
    panel = predicted_panel("step 0", tracks(LEFT), {1: "x" * 300}, 0.3)
    assert next(iter(Panels(grey_video(tmp_path), (panel,)))).shape[1] == 576


def test_predictions_below_the_score_and_beyond_ten_are_left_out():
    scores = [0.1, 0.95, 0.3, *[0.5] * 12]
    panel = predicted_panel("step 1", tracks(*[LEFT] * 15, scores=scores), {1: "giant_panda"}, min_score=0.3)
    assert panel.tracks.scores == (0.95, *[0.5] * 9)
    assert panel.labels[0] == Label("giant panda", 0.95)


def test_ground_truth_has_no_scores():
    track = Track(4, 7, 2, (LEFT, None, None), (900.0, 0.0, 0.0), iscrowd=True)
    panel = truth_panel([track], {2: "dog"}, 7)
    assert panel.labels == (Label("dog (crowd)"),)
    assert panel.is_truth


def colours_in(picture):
    return {tuple(c) for c in picture.reshape(-1, 3).tolist()}


def test_panels_of_one_object_share_its_colour(tmp_path):
    truth = truth_panel(
        [Track(n, 7, 1, (mask,) * 3, (900.0,) * 3) for n, mask in enumerate((LEFT, RIGHT))], {1: "a"}, 7
    )
    step = predicted_panel("step 0", tracks(RIGHT), {1: "a"})
    frames = list(Panels(grey_video(tmp_path), (truth, step)))
    assert len(frames) == 3
    assert len({frame.shape for frame in frames}) == 1
    half = frames[0].shape[1] // 2
    for number, (in_truth, in_step) in {0: (True, False), 1: (True, True)}.items():
        assert (colour_of(number) in colours_in(frames[0][:, : half - 3])) is in_truth
        assert (colour_of(number) in colours_in(frames[0][:, half + 3 :])) is in_step


def test_of_several_answers_for_one_object_the_surest_is_drawn(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(
        "cvis.report.pictures.panels.overlay",
        lambda frame, masks, labels, colours: written.append((len(masks), list(labels))) or frame,
    )
    panel = predicted_panel("s", tracks(LEFT, LEFT, RIGHT, ids=[1, 2, 1], scores=[0.4, 0.8, 0.5]), {1: "cat", 2: "dog"})
    next(iter(Panels(grey_video(tmp_path), (panel,))))
    assert written == [(2, [Label("dog", 0.8, 1), Label("cat", 0.5)])]
    assert written[0][1][0].tail == " 0.80 +1"


def test_many_panels_break_into_rows_and_a_still_has_a_row_per_panel(tmp_path):
    video = grey_video(tmp_path)
    panels = Panels(video, tuple(Panel(f"step {n}", tracks(), ()) for n in range(7)), "run")
    frame = next(iter(panels))
    assert 4 * 384 <= frame.shape[1] < 4 * 384 + 40
    assert 2 * 256 < frame.shape[0] < 2 * 256 + 120
    still = panels.still(moments=5)  # the video has three frames only
    factor = 640 // WIDTH
    assert 3 * WIDTH * factor <= still.shape[1] < 3 * WIDTH * factor + 20
    assert still.shape[0] > 7 * HEIGHT * factor


def test_a_contact_sheet_holds_every_frame():
    frames = [np.full((4, 6, 3), 40 * n, np.uint8) for n in range(1, 6)]
    sheet = contact_sheet(frames, 2)
    assert sheet.shape == (3 * 4 + 2 * 6, 2 * 6 + 6, 3)
    assert (sheet[:4, :6] == 40).all()
    assert (sheet[10:14, 12:] == 160).all()
