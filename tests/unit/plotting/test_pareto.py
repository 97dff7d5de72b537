"""What the Pareto figures show, and that equal tables give equal files."""

import numpy as np
import pandas as pd
import pytest

from sparse_attention.errors import InputError
from sparse_attention.plotting import pareto, style
from sparse_attention.tables import read_table


def read(folder):
    fronts = read_table(folder / "pareto.tsv")
    return read_table(folder / "predictors.tsv"), fronts.assign(windows=fronts["windows"].astype(str))


def curves(axes, looks, name):
    return [
        line
        for line in axes.lines
        if line.get_color() == looks[name].colour and line.get_marker() == looks[name].marker
    ]


def test_fronts_are_joined_and_dominated_points_are_faint(tables, fabricate):
    points, fronts = read(tables)
    axes = pareto.tradeoff(points, fronts, "recall", 0, "none", fabricate.CONTEXT).axes[0]
    faint, solid = curves(axes, style.looks(points["predictor"]), "kmeans")
    own = points.query("predictor == 'kmeans' and window == 0").set_index("point")
    assert faint.get_alpha() < 1 and faint.get_linestyle() == "None"
    np.testing.assert_allclose(faint.get_xdata(), [1 - own.loc["clusters~4_runs~1_top~1", "sparsity"]])
    assert len(solid.get_xdata()) == 2 and solid.get_alpha() is None


def test_only_the_kept_tokens_that_are_drawn_count(tables, fabricate):
    points, fronts = read(tables)
    more = [frame.assign(keep="cls+last", sparsity=frame["sparsity"] / 2) for frame in (points, fronts)]
    alone, among = (
        pareto.tradeoff(*given, "recall", 0, "none", fabricate.CONTEXT).axes[0]
        for given in ((points, fronts), (pd.concat([points, more[0]]), pd.concat([more[1], fronts])))
    )
    assert [line.get_xydata().tolist() for line in among.lines] == [line.get_xydata().tolist() for line in alone.lines]


def test_sparsity_grows_to_the_right_and_the_gold_sparsity_is_marked(tables, fabricate):
    points, fronts = read(tables)
    axes = pareto.tradeoff(points, fronts, "exactness", 0, "none", fabricate.CONTEXT).axes[0]
    left, right = axes.get_xlim()
    assert left > right and axes.get_xscale() == "log"
    texts = [text.get_text() for text in axes.texts]
    assert {"gold support: 97.5%", "Oracle top-k", "Random"} <= set(texts)


def test_the_figure_states_what_it_was_made_from(tables_of_seeds, fabricate):
    points, fronts = read(tables_of_seeds)
    figure = pareto.tradeoff(points, fronts, "recall", 11, "none", fabricate.CONTEXT)
    texts = [text.get_text() for text in figure.texts]
    assert "wiki-2016 · minilm-l6 · entmax 1.5 · entmax 2 · 3 seeds · 32 examples · window 11" in texts
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["entmax 1.5", "entmax 2"]
    assert figure.axes[0].collections, "intervals are drawn"


def test_every_window_has_a_panel(tables, tables_of_seeds, fabricate):
    figure = pareto.small_multiples(*read(tables), "recall", "none", fabricate.CONTEXT)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["no window", "window 11"]
    assert len({axes.get_xlim() for axes in figure.axes}) == 1
    assert len(pareto.small_multiples(*read(tables_of_seeds), "recall", "none", fabricate.CONTEXT).axes) == 4


@pytest.mark.parametrize("count", [1, 3, 5])
def test_any_number_of_windows_fits(count, tables, fabricate):
    points, fronts = read(tables)
    first = points[points["window"] == 0]
    many = pd.concat([first.assign(window=2 * index + 1) for index in range(count)])
    assert len(pareto.small_multiples(many, fronts, "recall", "none", fabricate.CONTEXT).axes) == count


def test_many_predictors_and_projections_can_be_drawn(tables, fabricate, tmp_path):
    points, fronts = read(tables)
    cos = points["predictor"] == "cos"
    extra = [points[cos].assign(predictor=f"p{index}", label=f"Predictor {index}") for index in range(20)]
    other = points[cos].assign(projection="kind~linear_dim~8_shared~false")
    figure = pareto.tradeoff(pd.concat([points, other, *extra]), fronts, "recall", 0, "none", fabricate.CONTEXT)
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert "Predictor 19" in labels and "linear, dim 8, separate" in labels
    style.save(figure, [str(tmp_path / "many.svg")])


def test_points_that_keep_nothing_are_left_out_and_one_point_is_enough(tables, fabricate, tmp_path):
    points, fronts = read(tables)
    one = points.query("predictor == 'cos' and window == 0").head(1)
    nothing = one.assign(sparsity=1.0, recall=0.0, point="threshold~0")
    figure = pareto.tradeoff(pd.concat([one, nothing]), fronts, "recall", 0, "none", fabricate.CONTEXT)
    style.save(figure, [str(tmp_path / "one.png")])
    with pytest.raises(InputError, match=r"figures\.window"):
        pareto.tradeoff(nothing, fronts, "recall", 0, "none", fabricate.CONTEXT)


@pytest.mark.parametrize("suffix", ["svg", "pdf", "png"])
def test_equal_tables_give_equal_bytes(suffix, tables, fabricate, tmp_path):
    for name in "ab":
        figure = pareto.tradeoff(*read(tables), "recall", 0, "none", fabricate.CONTEXT)
        style.save(figure, [str(tmp_path / f"{name}.{suffix}")])
    assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()
