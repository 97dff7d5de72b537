"""The points that readers explore are those of the table, with all their settings."""

import pytest

from sparse_attention.files.tables import read_table
from sparse_attention.plotting.predictor_styles import STYLES
from sparse_attention.reporting.exploring import AXES, SYMBOLS, explored, plotting_library

FIGURES = ("pareto_recall", "pareto_computation", "heatmap_gold")


@pytest.fixture(scope="module")
def points(tables):
    return read_table(tables / "predictors.tsv")


def test_each_curve_holds_its_points_from_left_to_right(points):
    found = explored(points, FIGURES, 0, "none")
    assert list(found["figures"]) == ["pareto_recall", "pareto_computation"]
    assert found["figures"]["pareto_computation"] == {
        "x": "computation_sparsity", "y": "recall", "titles": ["Computation sparsity", "Recall"]
    }  # fmt: skip
    curves = {curve["name"]: curve for curve in found["curves"]}
    assert list(curves) == list(points["label"].unique())
    kmeans, rows = curves["K-means clusters"], points[(points["predictor"] == "kmeans") & (points["window"] == 0)]
    assert kmeans["settings"][0] == "clusters 4, runs 1, top 1; linear, dim 4, shared"
    assert kmeans["values"]["sparsity"] == [round(value, 5) for value in sorted(rows["sparsity"])]
    # the first point keeps more pairs and recalls less
    assert kmeans["fronts"]["pareto_recall"] == [False, True, True]
    assert curves["Window"]["dashed"] and not kmeans["dashed"]


def test_windows_and_kept_tokens_are_named(points):
    rows = points.assign(keep="cls")
    assert explored(points, FIGURES, 0, "cls") == {}
    curve = explored(rows, FIGURES, 11, "cls")["curves"][2]
    assert curve["settings"][0] == "width 51; window 11; first token kept"


def test_several_attentions_are_told_apart(tables_of_seeds):
    found = explored(read_table(tables_of_seeds / "predictors.tsv"), FIGURES, 0, "none")
    names = [curve["name"] for curve in found["curves"]]
    assert len(names) == len(set(names)) and {"Window (entmax 1.5)", "Window (entmax 2)"} <= set(names)


def test_missing_values_are_no_points(points):
    rows = points.assign(computation_sparsity=float("nan"))
    curve = explored(rows, FIGURES, 0, "none")["curves"][0]
    assert set(curve["values"]["computation_sparsity"]) == {None} and not any(curve["fronts"]["pareto_computation"])


@pytest.mark.parametrize("figures", [(), ("heatmap_gold",)], ids=["none", "others"])
def test_without_figures_of_points_there_is_nothing_to_explore(figures, points):
    assert explored(points, figures, 0, "none") == {} and explored(None, tuple(AXES), 0, "none") == {}


def test_every_marker_has_a_name_in_plotly():
    assert {style.marker for style in STYLES.values()} <= set(SYMBOLS)


def test_the_library_is_packed_into_the_same_bytes_each_time():
    script, packed = plotting_library()
    assert plotting_library() == (script, packed) and len(packed) < len(script) / 2
    assert "</script" not in script.lower()
