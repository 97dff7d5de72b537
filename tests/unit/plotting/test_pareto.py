"""What the Pareto figures show, in one panel and in many, and that equal tables give equal files."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from drawing import draw
from sparse_attention.errors import InputError
from sparse_attention.files.tables import read_table
from sparse_attention.plotting import pareto, style
from sparse_attention.plotting.figures.pareto_windows import BEST
from sparse_attention.plotting.panels import ENVELOPE, STEPS, interpolate
from sparse_attention.plotting.pareto_points import best_first, with_variants
from sparse_attention.plotting.predictor_styles import OTHERS, distinct_styles, group_of, styles_of
from sparse_attention.plotting.registry import discover
from sparse_attention.predictors.registry import GROUPS
from sparse_attention.summaries.pareto import front

CONTEXT = {"corpus": "wiki-2016", "model": "minilm-l6"}


def tradeoff(points, name="recall", window=0):
    return draw(f"pareto_{name}", CONTEXT | {"window": window, "keep": "none"}, predictors=points)


def recall(points):
    return tradeoff(points)


def by_window(points):
    return tradeoff(points, "windows")


def curves(axes, points, name):
    """The markers of a predictor: faint, and on its front."""
    own_style = distinct_styles(points["predictor"])[name]
    return [
        line for line in axes.lines if line.get_color() == own_style.colour and line.get_marker() == own_style.marker
    ]


def lines(axes, points, name):
    own_style = distinct_styles(points["predictor"])[name]
    return [line for line in axes.lines if line.get_color() == own_style.colour and line.get_linestyle() != "None"]


def titles(figure):
    return [axes.get_title(loc="left") for axes in figure.axes]


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def key(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def written(figure):
    return [text.get_text() for text in figure.texts]


def envelope(axes):
    return next(line.get_xydata() for line in axes.lines if line.get_color() == ENVELOPE["color"])


@pytest.fixture(scope="module")
def all_of_them(frames):
    return frames.predictors(windows=(0, 11))


def test_fronts_are_joined_and_dominated_points_are_faint(tables):
    points = read_table(tables / "predictors.tsv")
    figure = recall(points)
    faint, solid = curves(figure.axes[0], points, "kmeans")
    own = points.query("predictor == 'kmeans' and window == 0").set_index("point")
    assert faint.get_alpha() < 1 and faint.get_linestyle() == "None"
    np.testing.assert_allclose(faint.get_xdata(), [1 - own.loc["clusters~4_runs~1_top~1", "sparsity"]])
    assert len(solid.get_xdata()) == 2 and solid.get_alpha() is None
    assert "beaten by another of its points" in key(figure)
    assert "beaten by another of its points" not in key(recall(points[points["predictor"] != "kmeans"]))


def test_lines_are_straight_over_the_pairs_that_are_kept():
    kept, values, others = interpolate(np.array([0.8, 0.2, 0.02]), [1.0, 0.4, 0.22], [0.0, 0.6, 0.6])
    np.testing.assert_allclose(values, np.where(kept >= 0.2, kept + 0.2, 0.2 + kept))
    np.testing.assert_allclose(others, np.where(kept >= 0.2, 0.8 - kept, 0.6))
    assert (np.diff(kept) < 0).all() and list(kept[[0, STEPS, 2 * STEPS]]) == pytest.approx([0.8, 0.2, 0.02])
    assert [column.tolist() for column in interpolate(np.array([0.5]), [0.3])] == [[0.5], [0.3]]


def test_few_predictors_share_a_panel_and_many_are_divided_into_groups(frames):
    assert titles(recall(frames.predictors(frames.FEW))) == [""]
    assert titles(recall(frames.predictors())) == list(GROUPS)


def test_a_new_predictor_is_drawn_with_the_others(frames):
    new = frames.predictors(("mine",))
    figure = recall(pd.concat([frames.predictors(), new]))
    assert titles(figure)[-1] == OTHERS
    assert legend(figure.axes[-1]) == ["mine"]


def test_the_best_of_the_other_panels_is_a_pale_line(all_of_them):
    figure = recall(all_of_them)
    real = all_of_them.query("bound.isna() and window == 0")
    for axes, group in zip(figure.axes, GROUPS, strict=True):
        others = real[real["predictor"].map(group_of) != group]
        best = others[front(others["sparsity"].to_numpy(), others["recall"].to_numpy())]
        expected = best.sort_values("sparsity")[["sparsity", "recall"]].to_numpy() * [-1, 1] + [1, 0]
        np.testing.assert_allclose(envelope(axes)[::STEPS], expected)
    assert "best of the other panels" in key(figure)


def test_every_panel_has_the_bounds_and_the_gold_sparsity(all_of_them):
    figure = recall(all_of_them)
    own_style = styles_of(all_of_them["predictor"])["oracle"]
    for axes in figure.axes:
        assert sum(line.get_color() == own_style.colour for line in axes.lines) == 2
        gold = [line.get_xdata() for line in axes.lines if line.get_color() == style.GOLD]
        np.testing.assert_allclose(gold, [[0.025, 0.025]])
    assert {"Oracle top-k and Random", "gold sparsity: 97.5%"} <= set(key(figure))
    assert len({axes.get_xlim() for axes in figure.axes}) == 1


def test_a_legend_names_the_best_first(all_of_them):
    order = legend(recall(all_of_them).axes[1])
    real = all_of_them.query("bound.isna() and window == 0")
    real = real[real["predictor"].map(group_of) == "Distances"]
    labels = real.drop_duplicates("predictor").set_index("predictor")["label"]
    assert [text.replace("\n", " ") for text in order] == [labels[name] for name in best_first(real, "recall")]


def test_only_rows_with_the_configured_kept_tokens_are_drawn(tables):
    points = read_table(tables / "predictors.tsv")
    more = points.assign(keep="cls+last", sparsity=points["sparsity"] / 2)
    alone, among = (recall(given).axes[0] for given in (points, pd.concat([points, more])))
    assert [line.get_xydata().tolist() for line in among.lines] == [line.get_xydata().tolist() for line in alone.lines]


def test_sparsity_grows_to_the_right_and_the_gold_sparsity_is_marked(tables):
    points = read_table(tables / "predictors.tsv")
    axes = tradeoff(points, "exactness").axes[0]
    left, right = axes.get_xlim()
    assert left > right and axes.get_xscale() == "log"
    gold = f"gold support: {points['gold_sparsity'].iloc[0]:.1%}"
    assert {gold, "Oracle top-k", "Random"} <= {text.get_text() for text in axes.texts}


def test_the_line_below_the_title_describes_the_data(tables_of_seeds):
    points = read_table(tables_of_seeds / "predictors.tsv")
    figure = tradeoff(points, window=11)
    assert "wiki-2016 · minilm-l6 · entmax 1.5 · entmax 2 · 3 seeds · 32 examples · window 11" in written(figure)
    assert titles(figure) == ["entmax 1.5", "entmax 2"]


def test_seeds_give_bands(frames):
    for seeds, drawn in ((1, 0), (3, 8)):
        assert len(recall(frames.predictors(frames.FEW, seeds=seeds)).axes[0].collections) == drawn


def test_every_attention_starts_a_row_of_its_own(frames):
    figure = recall(frames.predictors(attentions=("entmax~1.5", "entmax~2")))
    assert titles(figure)[0] == "entmax 1.5: Patterns that ignore content"
    left = [
        axes.get_position().x0 for axes, title in zip(figure.axes, titles(figure), strict=True) if "ignore" in title
    ]
    assert len(left) == 2 and left[0] == left[1]


def test_block_sizes_have_lines_of_their_own(frames):
    blocks = (frames.PROJECTION, f"{frames.PROJECTION}_block_size~4")
    figure = recall(frames.predictors(("cos", "oracle"), projections=blocks))
    cos = lines(figure.axes[0], frames.predictors(("cos",)), "cos")
    assert {line.get_linestyle() for line in cos} == {"-", "--"}
    assert {"single tokens", "blocks of 4"} <= set(key(figure))
    assert "single tokens" not in key(recall(frames.predictors(("cos", "oracle"))))
    drawn = [line for line in figure.axes[0].lines if line.get_color() == styles_of(["oracle"])["oracle"].colour]
    assert len(drawn) == 1 and len(drawn[0].get_xdata()) == 6 * STEPS + 1, "bounds by token only"


@pytest.mark.parametrize(
    "projections, variants, note",
    [
        (["kind~linear_dim~4"], {""}, ""),
        (["kind~linear_dim~4", "kind~mlp_dim~4"], {"linear, dim 4", "mlp, dim 4"}, ""),
        (["kind~linear_dim~4", "kind~linear_dim~4_block_size~2"], {"single tokens", "blocks of 2"}, ""),
        (
            ["kind~linear_dim~4", "kind~mlp_dim~4_block_size~2"],
            {"linear, dim 4, single tokens", "mlp, dim 4, blocks of 2"},
            "",
        ),
        (
            [f"kind~linear_dim~{dim}{block}" for dim in range(4) for block in ("", "_block_size~2")],
            {"single tokens", "blocks of 2"},
            "best of all projections",
        ),
        (
            [f"kind~linear_dim~4_block_size~{size}" for size in range(2, 12)],
            {""},
            "best of all block sizes",
        ),
    ],
    ids=["one", "projections", "blocks", "both", "many projections", "many blocks"],
)
def test_few_projections_have_curves_of_their_own(projections, variants, note):
    rows = pd.DataFrame({"projection": projections, "predictor": "cos", "family": "distance", "bound": None})
    drawn, said = with_variants(rows)
    assert set(drawn["variant"]) == variants and said == note


def test_a_crowded_panel_draws_projections_as_one(frames):
    names = [f"p{index}" for index in range(11)]
    rows = pd.DataFrame([(name, f"kind~linear_dim~{dim}", "mine") for name in names for dim in (2, 4)])
    rows.columns = ["predictor", "projection", "family"]
    assert with_variants(rows.assign(bound=None))[1] == "best of all projections"
    assert with_variants(rows.assign(bound=None).query("predictor < 'p5'"))[1] == ""


def test_computation_shows_what_costs_more_than_full_attention(frames):
    points = frames.predictors(("cos", "sparq", "oracle", "random"))
    points.loc[points["predictor"] == "sparq", "computation_sparsity"] -= 0.5
    figure = tradeoff(points, "computation")
    left, _ = figure.axes[0].get_xlim()
    sparq = curves(figure.axes[0], points, "sparq")[-1]
    assert left > sparq.get_xdata().max() > 1
    assert {"as costly as full attention", "Oracle top-k and Random, at no cost"} <= set(key(figure))
    assert "0%" in [label.get_text() for label in figure.axes[0].get_xticklabels()]


def test_an_unknown_cost_is_named_below_the_title(frames):
    points = frames.predictors(("cos", "l2", "oracle"))
    points.loc[points["predictor"] == "l2", "computation_sparsity"] = float("nan")
    figure = tradeoff(points, "computation")
    assert legend(figure.axes[0]) == ["Cosine distance"]
    assert written(figure)[1].endswith("not known for Squared L2 distance")
    nobody = tradeoff(points[points["predictor"] != "cos"], "computation")
    assert not nobody.axes and "No predictor says what predicting costs." in written(nobody)


def test_every_compared_metric_has_a_figure_of_its_own():
    names = {f"pareto_{metric}" for metric in pareto.METRICS}
    assert names <= set(discover())


@pytest.mark.parametrize("metric", pareto.METRICS)
def test_each_metric_is_drawn_from_its_column(metric, frames):
    points = frames.predictors(("cos",))
    drawn = {name: tradeoff(points, name) for name in pareto.METRICS}
    changed = points.assign(**{metric: points[metric] / 2})
    for name, figure in drawn.items():
        before, after = (lines(one.axes[0], points, "cos")[-1].get_ydata() for one in (figure, tradeoff(changed, name)))
        assert len(before) and np.array_equal(before, after) == (name != metric)


def test_every_window_has_a_panel(tables, tables_of_seeds):
    points, of_seeds = (read_table(folder / "predictors.tsv") for folder in (tables, tables_of_seeds))
    figure = by_window(points)
    assert titles(figure) == ["no window", "window 11"]
    assert len({axes.get_xlim() for axes in figure.axes}) == 1
    assert len(by_window(of_seeds).axes) == 4


def test_many_predictors_are_cut_to_the_best_where_every_window_has_a_panel(frames, all_of_them):
    figure = by_window(all_of_them)
    at = all_of_them.query("window == 0 and bound.isna()")
    best = best_first(at, "recall")[:BEST]
    labels = [frames.PREDICTORS[name][0] for name in best]
    assert sorted(text.replace("\n", " ") for text in legend(figure.axes[1])) == sorted(labels)
    assert written(figure)[-1].endswith("the best 6 of 29 predictors")
    assert len(legend(by_window(frames.predictors(frames.FEW)).axes[1])) == 8


@pytest.mark.parametrize("count", [1, 3, 5])
def test_any_number_of_windows_fits(count, tables):
    points = read_table(tables / "predictors.tsv")
    first = points[points["window"] == 0]
    many = pd.concat([first.assign(window=2 * index + 1) for index in range(count)])
    assert len(by_window(many).axes) == count


def test_a_long_legend_stays_beside_its_panel(frames):
    names = tuple(f"a predictor of a long name, number {index}" for index in range(25))
    figure = recall(frames.predictors(names))
    drawn = figure.axes[0].get_legend().get_window_extent(FigureCanvasAgg(figure).get_renderer())
    assert drawn.y0 > 0 and len(legend(figure.axes[0])) == 25


def test_points_that_keep_nothing_are_left_out_and_one_point_is_enough(tables, tmp_path):
    points = read_table(tables / "predictors.tsv")
    one = points.query("predictor == 'cos' and window == 0").head(1)
    nothing = one.assign(sparsity=1.0, recall=0.0, point="threshold~0")
    style.save(recall(pd.concat([one, nothing])), [str(tmp_path / "one.png")])
    with pytest.raises(InputError, match=r"figures\.window"):
        recall(nothing)


@pytest.mark.parametrize("suffix", ["svg", "pdf", "png"])
def test_equal_tables_give_equal_bytes(suffix, all_of_them, tmp_path):
    for name in "ab":
        style.save(recall(all_of_them), [str(tmp_path / f"{name}.{suffix}")])
    assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()
