"""Distances of kept pairs: shares, their ratio to the gold support's, the order of bins."""

import numpy as np
import pytest

from drawing import draw
from sparse_attention.plotting import style
from sparse_attention.plotting.figures.edge_distances import MOST
from sparse_attention.plotting.selection import first_number, last_number, one_projection

CONTEXT = {"corpus": "wiki-2016", "model": "minilm-l6"}


def edge_distances(table, context):
    return draw("edge_distances", context, offsets=table)


def maps(figure):
    return [axes for axes in figure.axes if axes.images]


def rows(figure):
    """The label, colours and numbers of each row."""
    found = {}
    for axes in maps(figure):
        names = [tick.get_text() for tick in axes.get_yticklabels()]
        values = np.ma.filled(axes.images[0].get_array(), np.nan)
        for place, name in enumerate(names):
            texts = [text.get_text() for text in axes.texts if text.get_position()[1] == place]
            found[name] = values[place], texts
    return found


def test_colours_show_the_ratio_to_the_gold_support(frames):
    table = frames.offsets(("cos", "window", "random"))
    found = rows(edge_distances(table, CONTEXT))
    for label, own in table.groupby("label"):
        own = own[(own["share"] > 0) | (own["gold_share"] > 0)]
        ratio = np.log2(own["share"] / own["gold_share"]).clip(-MOST, MOST)
        np.testing.assert_allclose(found[label][0], ratio)
    assert found["Random"][1][0] == "<1" and found["Random"][1][-1] == "50"


def test_empty_bins_are_left_out_and_the_others_are_in_order(frames):
    table = frames.offsets(("cos",)).sample(frac=1, random_state=0)
    figure = edge_distances(table, CONTEXT)
    ticks = [tick.get_text() for tick in maps(figure)[-1].get_xticklabels()]
    assert ticks == ["0", "1", "2", "3-4", "5-8", "9-16", "17-32", "33-64", "65-128", "129-256"]
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    np.testing.assert_allclose(heights, [0.08, 0.12, 0.08, 0.1, 0.11, 0.12, 0.13, 0.13, 0.1, 0.03])


def test_shares_without_gold_or_without_pairs_have_the_ends_of_the_colours(frames):
    table = frames.offsets(("cos",))
    table.loc[table["distance"] == "0", "share"] = 0.0
    table.loc[table["distance"] == ">1024", "share"] = 0.1
    values, texts = rows(edge_distances(table, CONTEXT))["Cosine distance"]
    assert values[0] == -MOST and values[-1] == MOST and (texts[0], texts[-1]) == ("0", "10")


def test_groups_come_in_order_and_bounds_last(frames):
    table = frames.offsets(("oracle", "gate", "window", "cos", "random"))
    labels = [[tick.get_text() for tick in axes.get_yticklabels()] for axes in maps(edge_distances(table, CONTEXT))]
    assert labels == [["Window"], ["Cosine distance"], ["Learned gate"], ["Oracle top-k", "Random"]]


def test_blocks_are_drawn_only_without_rows_by_token(frames):
    blocks = (f"{frames.PROJECTION}_block_size~4",)
    both = frames.offsets(("cos", "gate"), projections=(frames.PROJECTION, *blocks))
    assert set(one_projection(both)["projection"]) == {frames.PROJECTION, "kind~none"}
    only = frames.offsets(("cos",), projections=blocks)
    assert maps(edge_distances(only, CONTEXT))[-1].get_xlabel() == "Distance in blocks of tokens"
    assert maps(edge_distances(both, CONTEXT))[-1].get_xlabel() == "Distance in tokens"


@pytest.mark.parametrize(
    "name, first, last",
    [("3-4", 3, "4"), (">1024", 1024.5, ">1024"), ("0-0.00390625", 0, "0.00391"), ("1e-05-2e-05", 1e-5, "2e-05")],
)
def test_bins_are_read(name, first, last):
    assert first_number(name) == first and last_number(name) == last


def test_attentions_are_below_each_other_and_files_repeat(frames, tmp_path):
    for name in "ab":
        figure = edge_distances(frames.offsets(attentions=("entmax~1.5", "entmax~2")), CONTEXT)
        style.save(figure, [str(tmp_path / f"{name}.svg")])
    assert [axes.get_title(loc="left") for axes in figure.axes if axes.patches] == ["entmax 1.5", "entmax 2"]
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
