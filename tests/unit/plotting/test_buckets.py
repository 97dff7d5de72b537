"""Entropy of buckets, and buckets in common by distance."""

import numpy as np
import pytest

from drawing import draw
from sparse_attention.plotting import style
from sparse_attention.plotting.figures.bucket_distances import shown_bins
from sparse_attention.plotting.selection import nearest_point

CONTEXT = {"corpus": "wiki-2016", "model": "minilm-l6"}


def entropy(table):
    return draw("bucket_entropy", CONTEXT, buckets=table)


def common(table, sparsity):
    return draw("bucket_distances", CONTEXT | {"heatmap.sparsity": sparsity}, common_buckets=table)


def titles(figure):
    return [axes.get_title(loc="left") for axes in figure.axes]


def test_every_quantizer_has_a_panel_with_a_line_per_layer_and_side(frames):
    table = frames.buckets(layers=3)
    figure = entropy(table)
    assert titles(figure) == [frames.PREDICTORS[name][0] for name in frames.QUANTIZERS]
    axes = figure.axes[2]
    assert len(axes.lines) == 6 and axes.get_ylim()[1] >= 1
    own = table.query("predictor == 'kmeans' and layer == 1 and side == 'keys'")
    expected = own.groupby("buckets")["entropy"].mean()
    assert any(np.allclose(line.get_xydata(), expected.reset_index()) for line in axes.lines)
    assert {line.get_linestyle() for line in axes.lines} == {"-", "--"}


def test_a_single_quantizer_and_a_single_count_can_be_drawn(frames, tmp_path):
    table = frames.buckets(("kmeans",), layers=1).query("buckets == 8")
    figure = entropy(table)
    assert len(figure.axes) == 1
    style.save(figure, [str(tmp_path / "one.png")])


def test_many_layers_are_named_in_part(frames):
    figure = entropy(frames.buckets(("kmeans",), layers=24, heads=1))
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(named) == 10 and {"layer 0", "layer 23", "queries", "keys"} <= set(named)


def bars(axes):
    """The height of each bar of each colour, from the darkest down."""
    return [[bar.get_height() for bar in container] for container in axes.containers]


def test_shares_of_common_buckets_are_stacked_and_gold_pairs_are_a_line(frames):
    table = frames.common_buckets(("fixed",))
    axes = common(table, 0.5).axes[0]
    own = nearest_point(table, 0.5).groupby(["distance_bin", "common"])[["pairs", "gold_pairs"]].sum()
    shares = own["pairs"] / own["pairs"].groupby(level=0).transform("sum")
    for number, heights in zip((4, 3, 2, 1), bars(axes), strict=True):
        np.testing.assert_allclose(heights, shares.xs(number, level="common"))
    gold = own["gold_pairs"].groupby(level=0)
    found = 1 - gold.first() / gold.sum()
    np.testing.assert_allclose(axes.lines[0].get_ydata(), found)


@pytest.mark.parametrize("sparsity, point", [(0.95, "setting~0"), (0.05, "setting~1")])
def test_the_point_nearest_the_sparsity_is_drawn(sparsity, point, frames):
    rows = frames.common_buckets(("fixed",))
    assert set(nearest_point(rows, sparsity)["point"]) == {point}


def test_more_than_four_in_common_are_one_colour(frames):
    table = frames.common_buckets(("fixed",))
    table["common"] *= 3
    figure = common(table, 0.9)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[:4] == ["1 in common", "2 in common", "3 in common", "4 or more in common"]
    shared = nearest_point(table, 0.9)
    sums = shared[shared["common"] > 3].groupby("distance_bin")["pairs"].sum()
    np.testing.assert_allclose(bars(figure.axes[0])[0], sums / shared.groupby("distance_bin")["pairs"].sum())


def test_bins_at_the_ends_with_next_to_no_pairs_are_left_out(frames):
    rows = frames.common_buckets(("fixed",))
    rows.loc[rows["distance_bin"].isin(["0-0.25", "0.75-1"]), ["pairs", "gold_pairs"]] *= 1e-6
    assert shown_bins(rows) == ["0.25-0.5", "0.5-0.75", "0.75-1", "1-1.25", "1.25-1.5", "1.5-1.75", "1.75-2"]


def test_equal_tables_give_equal_bytes(frames, tmp_path):
    for name in "ab":
        style.save(entropy(frames.buckets()), [str(tmp_path / f"entropy_{name}.svg")])
        style.save(common(frames.common_buckets(), 0.9), [str(tmp_path / f"common_{name}.svg")])
    for figure in ("entropy", "common"):
        assert (tmp_path / f"{figure}_a.svg").read_bytes() == (tmp_path / f"{figure}_b.svg").read_bytes()
