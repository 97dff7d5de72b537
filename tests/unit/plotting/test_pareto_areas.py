"""The dot plot of areas: order, intervals, bounds."""

import numpy as np
import pytest

from drawing import draw
from sparse_attention.errors import InputError
from sparse_attention.plotting import style
from sparse_attention.plotting.predictor_styles import BOUND_COLOUR

CONTEXT = {"corpus": "wiki-2016", "model": "minilm-l6"}


def areas(table, window=0):
    return draw("pareto_areas", CONTEXT | {"window": window, "keep": "none"}, areas=table)


def labels(axes):
    return [tick.get_text() for tick in axes.get_yticklabels()]


def dots(axes, marker):
    return {line.get_ydata()[0]: line.get_xdata()[0] for line in axes.lines if line.get_marker() == marker}


def test_the_largest_area_of_recall_is_at_the_top(frames):
    table = frames.areas()
    figure = areas(table)
    here = table.query("windows == '0' and bound.isna()").sort_values("area_recall")
    assert labels(figure.axes[0]) == here["label"].tolist()
    for axes, metric in zip(figure.axes, frames.METRICS, strict=True):
        for marker, size in (("o", "area"), ("D", "hypervolume")):
            np.testing.assert_allclose(
                [value for _, value in sorted(dots(axes, marker).items())], here[f"{size}_{metric}"]
            )


def test_intervals_are_drawn_and_bounds_are_lines(frames):
    table = frames.areas(("cos", "oracle", "random"))
    axes = areas(table).axes[0]
    row = table.query("windows == '0'").set_index("predictor")
    spans = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 2 and line.get_color() != BOUND_COLOUR]
    expected = [[row.loc["cos", f"{size}_recall_{end}"] for end in ("low", "high")] for size in ("area", "hypervolume")]
    np.testing.assert_allclose(spans, expected)
    lines = sorted(line.get_xdata()[0] for line in axes.lines if line.get_color() == BOUND_COLOUR)
    np.testing.assert_allclose(lines, sorted(row.loc[["oracle", "random"], "area_recall"]))


def test_of_several_projections_the_best_is_a_dot_and_the_others_strokes(frames):
    both = (frames.PROJECTION, "kind~mlp_dim~8_hidden~32_shared~false")
    table = frames.areas(("cos", "window"), projections=both)
    axes = areas(table).axes[0]
    values = table.query("windows == '0' and predictor == 'cos'")["area_recall"]
    assert dots(axes, "o")[1] == values.max() and dots(axes, "|")[1] == values.min()


def test_attentions_have_rows_of_their_own(frames, tmp_path):
    figure = areas(frames.areas(frames.FEW, attentions=("entmax~1.5", "entmax~2")))
    assert [axes.get_title(loc="left") for axes in figure.axes][::3] == ["entmax 1.5: recall", "entmax 2: recall"]
    style.save(figure, [str(tmp_path / "areas.svg")])


def test_a_setting_without_predictors_is_refused(frames):
    with pytest.raises(InputError, match=r"figures\.window: .* window 99"):
        areas(frames.areas(), 99)
    with pytest.raises(InputError, match=r"figures\.window"):
        areas(frames.areas(("oracle",)))


def test_equal_tables_give_equal_bytes(frames, tmp_path):
    for name in "ab":
        style.save(areas(frames.areas()), [str(tmp_path / f"{name}.svg")])
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
