"""The figures: the words and marks in them and what cannot be drawn."""

from __future__ import annotations

from itertools import pairwise
from math import isnan

import numpy as np
import pytest
from plot_runs import STEPS, plotted_runs, saved, write_queries
from stream_runs import AP, NAMES, write_stream

from cvis.errors import UserError
from cvis.report.plots.cost import cost
from cvis.report.plots.curves import curves
from cvis.report.plots.heatmap import class_heatmap
from cvis.report.plots.output import save
from cvis.report.plots.queries import layout, query_covariance, query_map
from cvis.report.plots.style import BOUND_COLOUR, looks
from cvis.report.plots.tradeoff import stability_plasticity
from cvis.runs.find import load_runs


@pytest.fixture
def runs(tmp_path):
    return plotted_runs(tmp_path / "runs")


def lines(axes):
    return {line.get_label(): line for line in axes.get_lines() if not line.get_label().startswith("_")}


LABELS = {"crisp [random text encoder]", "finetune", "joint (upper bound)"}


def test_curves_name_rows_axes_and_units(runs, tmp_path):
    assert {*LABELS, "step", "mAP, all classes (%)", "AR1 (%)"} <= {*saved(curves(runs), tmp_path / "a.svg")}


def test_curves_draw_the_values_and_the_deviation(runs):
    axes = curves(runs, "mAP_all").axes[0]
    np.testing.assert_array_equal(lines(axes)["crisp [random text encoder]"].get_ydata(), [10.5, 20.5, 30.5])
    band = axes.collections[0].get_paths()[0].get_extents()
    assert band.y0 == pytest.approx(10.5 - np.sqrt(0.5))
    assert band.y1 == pytest.approx(30.5 + np.sqrt(0.5))


def test_an_upper_bound_is_a_horizontal_line_at_its_final_value(runs):
    line = lines(curves(runs, "mAP_all").axes[0])["joint (upper bound)"]
    assert {*line.get_ydata()} == {55.0}
    assert line.get_color() == BOUND_COLOUR
    assert [*line.get_xdata()] == [0, 1]  # of the width of the axes
    assert line.get_transform() == line.axes.get_yaxis_transform(which="grid")


def test_rows_differ_in_more_than_colour_and_look_alike_in_all_figures(runs):
    styles = looks(runs)
    assert {*styles} == LABELS - {"joint (upper bound)"}
    assert len({look.marker for look in styles.values()}) == len({str(look.dashes) for look in styles.values()}) == 2
    alone = [run for run in runs if run.learner == "finetune"]
    one, other = curves(runs, "AR1").axes[0], curves(alone, "AR1", among=runs).axes[0]
    assert lines(one)["finetune"].get_color() == lines(other)["finetune"].get_color()
    assert lines(one)["finetune"].get_color() != lines(one)["crisp [random text encoder]"].get_color()


def test_nine_rows_are_all_told_apart(tmp_path):
    for i in range(11):
        write_stream(tmp_path, f"learner{i:02}", step_fields=STEPS)
    styles = list(looks(load_runs([tmp_path]).runs).values())
    assert len({(look.colour, look.marker) for look in styles}) == 11
    assert len({look.colour for look in styles[:9]}) == 9


def test_streams_and_protocols_have_axes_of_their_own(runs, tmp_path):
    write_stream(tmp_path / "more", "finetune", scenario="other-2", step_fields=STEPS)
    write_stream(tmp_path / "coco", "finetune", protocol={"init": "coco"}, step_fields=STEPS)
    every = [*runs, *load_runs([tmp_path / "more", tmp_path / "coco"]).runs]
    figure = curves(every, "mAP_all")
    assert len(figure.axes) == 3
    headings = [axes.get_title(loc="left") for axes in figure.axes]
    assert headings[0] == "other-2, mask2former_tiny"
    assert any("init" in heading for heading in headings)


def test_the_heat_map_names_every_class_and_prints_every_value(runs, tmp_path):
    seeds = [run for run in runs if run.learner == "crisp"]
    text = saved(class_heatmap(seeds), tmp_path / "a.svg")
    assert {*NAMES.values(), "AP (%)", "step", "forgetting (points of AP)"} <= {*text}
    assert "crisp [random text encoder]" in text
    axes = class_heatmap(seeds).axes[0]
    assert [t.get_text() for t in axes.texts] == ["40", "30", "20", "10", "20", "10", "50", "60", "30"]
    assert [t.get_position()[0] for t in axes.texts][-3:] == [1, 2, 2]


def test_forty_classes_have_room(tmp_path):
    groups = (tuple(range(1, 41)),)
    run = load_runs([write_stream(tmp_path, ap={c: (50.0,) for c in range(1, 41)}, groups=groups)]).runs[0]
    figure = class_heatmap(run)
    figure.canvas.draw()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert len(boxes) == 40
    assert not any(one.overlaps(other) for one, other in pairwise(boxes))


def test_a_class_without_ground_truth_says_so(tmp_path):
    write_stream(tmp_path, ap={**AP, 3: (None, None, None)})
    assert "no ground truth" in saved(class_heatmap(load_runs([tmp_path]).runs), tmp_path / "a.svg")


def test_the_tradeoff_has_a_point_per_row(runs, tmp_path):
    figure = stability_plasticity(runs)
    points = {c.get_label(): c.lines[0].get_xydata()[0].tolist() for c in figure.axes[0].containers}
    assert points == {
        "crisp [random text encoder]": [12.0, 20.5],
        "finetune": [30.0, 20.0],
        "joint (upper bound)": [50.0, 50.0],
    }
    assert {*LABELS, "plasticity: mAP of new classes (%)"} <= {*saved(figure, tmp_path / "a.svg")}


def test_less_forgetting_is_up(runs):
    low, high = stability_plasticity(runs, "forgetting").axes[0].get_ylim()
    assert low > high
    low, high = stability_plasticity(runs).axes[0].get_ylim()
    assert low < high


def test_costs_are_on_logarithmic_scales_with_units(runs, tmp_path):
    figure = cost(runs)
    assert [axes.get_yscale() for axes in figure.axes] == ["log"] * 3
    assert {*LABELS, "1k", "trainable parameters", "stored parameters", "training time (s)"} <= {
        *saved(figure, tmp_path / "a.svg")
    }


def test_missing_metrics_leave_gaps_and_not_zeros(tmp_path):
    write_stream(tmp_path, step_fields={"mAP_all": (10.0, None, 30.0), "train_s": (1.0, 2.0, 3.0)})
    runs = load_runs([tmp_path]).runs
    drawn = lines(curves(runs, "mAP_all").axes[0])["finetune"].get_ydata()
    assert (drawn[0], isnan(drawn[1]), drawn[2]) == (10, True, 30)
    assert [axes.get_ylabel() for axes in cost(runs).axes] == ["training time (s)"]


def test_a_single_step_can_be_drawn(tmp_path):
    fields = {name: values[:1] for name, values in STEPS.items()}
    write_stream(tmp_path, groups=(tuple(AP),), ap={c: (1.0,) for c in AP}, step_fields=fields)
    runs = load_runs([tmp_path]).runs
    for i, figure in enumerate((curves(runs), cost(runs), class_heatmap(runs))):
        save(figure, tmp_path / f"{i}.svg")
    with pytest.raises(UserError, match="two steps"):
        stability_plasticity(runs)


def test_joint_alone_can_be_drawn(runs):
    alone = [run for run in runs if run.upper_bound]
    assert [*lines(curves(alone, "mAP_all").axes[0])] == ["joint (upper bound)"]


@pytest.mark.parametrize("draw", [curves, cost, class_heatmap])
def test_nothing_to_draw_is_said(tmp_path, draw):
    none = dict.fromkeys(("mAP_all", "AR1"), (None,) * 3)
    write_stream(tmp_path, ap={c: (None,) * 3 for c in AP}, step_fields=none)
    with pytest.raises(UserError, match=r"mAP_all, AR1|trainable_params|per_class"):
        draw(load_runs([tmp_path]).runs)


def test_queries_are_drawn_by_step(tmp_path):
    write_queries(tmp_path)
    assert {"step 0", "step 1", "step 2", "t-SNE 1 (no unit)"} <= {*saved(query_map(tmp_path), tmp_path / "a.svg")}
    assert {"0", "1", "2", "cosine", "queries, by step"} <= {*saved(query_covariance(tmp_path), tmp_path / "b.svg")}
    image = query_covariance(tmp_path).axes[0].images[0].get_array()
    np.testing.assert_allclose(np.diag(image), 1)
    q = np.load(tmp_path / "queries.npz")["queries"].astype(float)
    assert image[0, 7] == pytest.approx(q[0] @ q[7] / np.linalg.norm(q[0]) / np.linalg.norm(q[7]))


def test_the_map_keeps_neighbours(tmp_path):
    """Two clouds far apart in 16 dimensions stay apart in the plane, and the map is the same every time."""
    rng = np.random.default_rng(1)
    clouds = np.concatenate([rng.normal(size=(10, 16)), rng.normal(size=(10, 16)) + 20])
    places = layout(clouds)
    distance = np.linalg.norm(places[:, None] - places[None], axis=-1) + np.diag([np.inf] * 20)
    assert ((distance.argmin(axis=1) < 10) == (np.arange(20) < 10)).all()
    np.testing.assert_array_equal(places, layout(clouds))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.write_bytes(b"no zip"), "cannot be read"),
        (lambda path: np.savez(path, queries=np.zeros((3, 2))), "cannot be read"),
        (lambda path: np.savez(path, queries=np.zeros((3, 2)), step=np.zeros(2, int)), "not finite float"),
        (lambda path: np.savez(path, queries=np.full((3, 2), np.nan), step=np.zeros(3, int)), "not finite float"),
        (lambda path: np.savez(path, queries=np.zeros((3, 2)), step=np.zeros(3, int)), "too few"),
    ],
)
def test_queries_that_are_missing_or_damaged(tmp_path, make, says):
    make(tmp_path / "queries.npz")
    with pytest.raises(UserError, match=says):
        query_map(tmp_path)
