"""The figure of times: a line for each predictor in its faster order, and lines for dense attention."""

from __future__ import annotations

import pandas as pd
import pytest

import drawing
from sparse_attention.errors import InputError
from sparse_attention.files.tables import read_table
from sparse_attention.plotting import style
from sparse_attention.plotting.attention_timings import DENSE_LINES, draw_timings

CONTEXT = {"corpus": "wiki-2016", "model": "minilm-l6"}


@pytest.fixture(scope="module")
def table(tables):
    return read_table(tables / "attention_timings.tsv")


def draw(table):
    return drawing.draw("attention_timings", CONTEXT, attention_timings=table)


def lines_of(axes):
    """Return the values of every line, by the first of them."""
    return sorted(tuple(round(float(value), 3) for value in line.get_ydata()) for line in axes.lines)


def values_of(table, column, rows):
    return sorted(
        tuple(round(max(value, 0.1), 3) for value in table[part][column])
        for part in [
            (table["method"] == method) & (table["computed"] == computed) & (table["order"] == order)
            for method, computed, order in rows
        ]
    )


def test_each_predictor_is_one_line_in_its_faster_order(table):
    time, memory = draw(table).axes
    drawn = [("sdpa", "softmax", "tokens"), ("dense", "entmax", "tokens"), ("window", "entmax", "tokens"),
             ("kmeans", "entmax", "buckets"), ("quest", "entmax", "tokens")]  # fmt: skip
    assert lines_of(time) == values_of(table, "total_ms", drawn)
    # no memory at all is drawn at the lowest value
    assert lines_of(memory) == values_of(table, "peak_mib", drawn)
    hollow = [line for line in time.lines if line.get_markerfacecolor() == "white"]
    assert [round(float(line.get_ydata()[0]), 3) for line in hollow] == [6.0], "k-means in the order of buckets"
    assert time.get_xscale() == time.get_yscale() == "log"


def test_dense_attention_is_told_from_predictors_and_named(table):
    figure = draw(table)
    dashes = {str(own["color"]): own.get("linestyle", "-") for own in DENSE_LINES.values()}
    assert len(dashes) == 2 and len(set(map(str, dashes.values()))) == 2
    names = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert names[:2] == ["Dense softmax (SDPA)", "Dense entmax"]
    assert set(names[2:5]) == {"Window", "K-means clusters", "Quest pages"} and "sorted" in names[5]
    colours = {line.get_color() for line in figure.axes[0].lines}
    assert len(colours) == 5
    text = " ".join(text.get_text() for text in figure.texts)
    assert "2 threads" in text and "entmax over blocks of 64 × 64 tokens" in text


def test_models_and_shares_have_panels_of_their_own(tables_of_seeds):
    table = read_table(tables_of_seeds / "attention_timings.tsv")
    titles = [axes.get_title(loc="left") for axes in draw(table).axes]
    assert titles == ["entmax 1.5: about 10 % of the blocks kept", "entmax 2: about 10 % of the blocks kept", "", ""]
    lists = table[table["block"] > 0]
    several = pd.concat([table, lists.assign(asked=0.5)])
    assert len(draw(several).axes) == 8


def test_memory_is_left_out_where_the_system_does_not_tell(table):
    assert len(draw(table.assign(peak_mib=float("nan"))).axes) == 1


def test_softmax_is_drawn_where_entmax_was_not_timed(table):
    only = table[(table["block"] == 0) | (table["computed"] == "softmax")]
    assert "softmax over blocks" in " ".join(text.get_text() for text in draw(only).texts)


def test_of_several_block_sizes_the_smallest_is_drawn(table):
    lists = table[table["block"] > 0]
    larger = lists.assign(block=128, total_ms=lists["total_ms"] * 100)
    assert lines_of(draw(pd.concat([table, larger])).axes[0]) == lines_of(draw(table).axes[0])


def test_rows_of_the_benchmark_are_drawn_as_well(table):
    rows = table.drop(columns=["attention", "seed", "label", "threads", "kernel"])
    given = rows[rows["method"] == "window"].assign(method="random lists, given")
    oracle = rows[rows["method"] == "window"].assign(method="oracle")
    figure = draw_timings(pd.concat([rows, given, oracle]), "Attention", "random")
    assert len(figure.axes[0].lines) == 7


def test_the_bounds_are_told_apart_by_their_markers(table):
    window = table[table["method"] == "window"]
    both = [window.assign(method=name, label=name) for name in ("oracle", "random")]
    lines = draw(pd.concat([table, *both])).axes[0].lines
    assert {line.get_marker() for line in lines} >= {"^", "v"}


def test_no_attention_over_blocks_is_refused(table):
    with pytest.raises(InputError, match="no row is of attention over blocks; allowed: at least one"):
        draw(table[table["block"] == 0])


def test_equal_tables_give_equal_files(table, tmp_path):
    for name in "ab":
        style.save(draw(table), [str(tmp_path / f"{name}.svg")])
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
