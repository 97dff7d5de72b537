"""Figures of the language model under predicted attention: every point of the table is drawn and identified."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

import drawing
from sparse_attention.files.tables import read_table
from sparse_attention.plotting import style
from sparse_attention.plotting.predictor_styles import STYLES
from sparse_attention.plotting.sparse_mlm import styles

CONTEXT = {"corpus": "wiki-2016", "model": "minilm-l6"}
FIGURES = ("sparse_mlm_perplexity", "sparse_mlm_increase")


def draw(name, table, heads=None):
    by_head = pd.DataFrame(columns=["attention", "gold", "finetuned", "gold_sparsity"]) if heads is None else heads
    return drawing.draw(name, CONTEXT, sparse_mlm=table, sparse_mlm_by_head=by_head)


@pytest.fixture(scope="module")
def one(tables):
    return read_table(tables / "sparse_mlm.tsv")


@pytest.fixture(scope="module")
def several(tables_of_seeds):
    return read_table(tables_of_seeds / "sparse_mlm.tsv")


def marks(axes):
    """Return every point that is drawn with a marker: its place and the marker."""
    return {
        (round(float(x), 6), round(float(y), 6), line.get_marker())
        for line in axes.lines
        if line.get_marker() not in ("", "None", None)
        for x, y in zip(*line.get_data(), strict=True)
    }


def expected(rows, x, column):
    markers = {name: own.marker for name, own in styles(rows).items()}
    return {
        (round(at, 6), round(row[column], 6), "*" if row["finetuned"] else markers[row["predictor"]])
        for at, row in zip(x, rows.to_dict("records"), strict=True)
    }


@pytest.mark.parametrize("name", FIGURES)
def test_each_point_of_an_attention_is_drawn_once_in_its_panel(name, several):
    figure = draw(name, several)
    attentions = [attention for attention in several["attention"].unique() if attention != "softmax"]
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["entmax 1.5", "entmax 2"]
    for axes, attention in zip(figure.axes, attentions, strict=True):
        rows = several[(several["attention"] == attention) & (several["predictor"] != "full")]
        if name == "sparse_mlm_perplexity":
            assert marks(axes) == expected(rows, 1 - rows["sparsity"], "perplexity")
        else:
            assert marks(axes) == expected(rows, rows["mass_recall"], "loss_increase")


def test_lines_join_points_of_one_projection_window_and_way_by_sparsity(one):
    (axes,) = draw("sparse_mlm_perplexity", one).axes
    joined = [line.get_data() for line in axes.lines if line.get_marker() == "None" and len(line.get_xdata()) == 3]
    oracle = one[one["predictor"] == "oracle"].sort_values("sparsity", ascending=False)
    assert len(joined) == 1 and np.allclose(joined[0], [1 - oracle["sparsity"], oracle["perplexity"]])
    pairs = [line for line in axes.lines if line.get_color() == STYLES["cos"].colour and len(line.get_xdata()) == 2]
    # once as a line and once as markers, for each answer to queries without keys
    assert len(pairs) == 4


def test_horizontal_lines_are_full_attention_with_entmax_and_softmax(one):
    (axes,) = draw("sparse_mlm_perplexity", one).axes
    full = one[(one["predictor"] == "full") & (one["finetuned"] == 0)]["perplexity"].tolist()
    drawn = [line.get_ydata()[0] for line in axes.lines if list(line.get_xdata()) == [0, 1]]
    assert drawn == full
    without = draw("sparse_mlm_perplexity", one[one["attention"] != "softmax"])
    texts = [text.get_text() for text in without.axes[0].get_legend().get_texts()]
    assert "full attention, entmax" in texts and "full attention, softmax" not in texts


def test_a_line_marks_the_gold_sparsity_of_full_attention(several, tables_of_seeds):
    heads = read_table(tables_of_seeds / "sparse_mlm_by_head.tsv")
    figure = draw("sparse_mlm_perplexity", several, heads)
    for axes, attention in zip(figure.axes, ["entmax~1.5", "entmax~2"], strict=True):
        own = heads[(heads["attention"] == attention) & (heads["gold"] == "dense") & (heads["finetuned"] == 0)]
        # the same for every point
        (sparsity,) = own.groupby(["predictor", "setting", "window"])["gold_sparsity"].mean().round(9).unique()
        (line,) = [line for line in axes.lines if list(line.get_ydata()) == [0, 1]]
        assert line.get_color() == style.GOLD and np.allclose(line.get_xdata(), 1 - sparsity)
        assert min(axes.get_xlim()) < 1 - sparsity < max(axes.get_xlim())
    texts = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert "gold sparsity" in texts
    without = draw("sparse_mlm_perplexity", several, heads.assign(gold_sparsity=1.0))
    assert "gold sparsity" not in [text.get_text() for text in without.axes[0].get_legend().get_texts()]


@pytest.mark.parametrize("name", FIGURES)
def test_the_legend_names_predictors_and_what_markers_mean(name, one):
    legend = draw(name, one).axes[0].get_legend()
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts[:6] == ["Oracle top-k", "Random", "Window", "BigBird", "Cosine distance", "K-means clusters"]
    assert texts[6:8] == ["after 50 more steps", "hollow: queries without\nkeys see all keys"]
    plain = one[(one["finetuned"] == 0) & ~one["dense_empty_rows"]]
    texts = [text.get_text() for text in draw(name, plain).axes[0].get_legend().get_texts()]
    assert not [text for text in texts if "steps" in text or "hollow" in text]


@pytest.mark.parametrize("name", FIGURES)
def test_blocks_documents_and_seeds_are_stated(name, several):
    line = draw(name, several).texts[1].get_text().replace("\n", " ")
    assert line.startswith("wiki-2016 · minilm-l6 · entmax 1.5 · entmax 2 · 3 seeds · 16 blocks of 8 documents")


def test_markers_are_hollow_where_queries_without_keys_see_all_keys(one):
    (axes,) = draw("sparse_mlm_perplexity", one).axes
    colour = STYLES["cos"].colour
    faces = [to_hex(line.get_markerfacecolor()) for line in axes.lines
             if line.get_color() == colour and line.get_marker() == "o"]  # fmt: skip
    assert faces == [colour.lower(), "#ffffff"]


def test_a_line_leads_to_a_point_after_further_training(one):
    (axes,) = draw("sparse_mlm_increase", one).axes
    own = one[(one["predictor"] == "kmeans") & (one["window"] == 11)].sort_values("finetuned")
    ends = [line.get_data() for line in axes.lines if line.get_marker() == "None" and len(line.get_xdata()) == 2
            and line.get_color() == STYLES["kmeans"].colour]  # fmt: skip
    assert len(ends) == 1 and np.allclose(ends[0], [own["mass_recall"], own["loss_increase"]])


def test_intervals_are_drawn_where_there_are_any(one, several):
    bars = [sum(len(bars.get_segments()) for bars in draw("sparse_mlm_perplexity", table).axes[0].collections)
            for table in (one, several)]  # fmt: skip
    assert bars[0] == 0 and bars[1] == ((several["attention"] == "entmax~1.5") & (several["predictor"] != "full")).sum()
    segments = [bar for bars in draw("sparse_mlm_increase", one).axes[0].collections for bar in bars.get_segments()]
    ends = {tuple(np.round(bar[:, 1], 6)) for bar in segments}
    rows = one[(one["predictor"] != "full") & one["loss_increase_low"].notna()]
    assert ends == {tuple(np.round(pair, 6)) for pair in rows[["loss_increase_low", "loss_increase_high"]].to_numpy()}


@pytest.mark.parametrize(("spread", "scale"), [(1.0, "log"), (0.05, "linear")], ids=["wide", "narrow"])
def test_the_axis_of_perplexities_is_logarithmic_only_where_it_must(spread, scale, one):
    least = one["perplexity"].min()
    table = one.assign(perplexity=least + spread * (one["perplexity"] - least))
    (axes,) = draw("sparse_mlm_perplexity", table).axes
    low, high = axes.get_ylim()
    assert axes.get_yscale() == scale and ("logarithmic" in axes.get_ylabel()) == (scale == "log")
    assert low < table["perplexity"].min() and table["perplexity"].max() < high
    assert 3 <= sum(low <= tick <= high for tick in axes.get_yticks()) <= 8


@pytest.mark.parametrize(("spread", "scale"), [(1.0, "symlog"), (0.1, "linear")], ids=["wide", "narrow"])
def test_the_axis_of_increases_is_stretched_only_where_it_must(spread, scale, one):
    columns = ["loss_increase", "loss_increase_low", "loss_increase_high"]
    table = one.assign(**{name: spread * one[name] for name in columns})
    figure = draw("sparse_mlm_increase", table)
    assert figure.axes[0].get_yscale() == scale
    assert ("logarithmic above 0.1 nats" in figure.texts[1].get_text()) == (scale == "symlog")


def test_an_interval_wider_than_all_values_does_not_stretch_the_axis(several):
    (first, _), (wide, _) = (
        [axes.get_ylim() for axes in draw("sparse_mlm_perplexity", several.assign(perplexity_ci95=half)).axes]
        for half in (1.0, 1e5)
    )
    assert first == wide


def test_points_that_keep_nothing_are_left_out(one):
    nothing = one.assign(sparsity=one["sparsity"].where(one["predictor"] != "random", 1.0))
    drawn = draw("sparse_mlm_perplexity", nothing)
    assert "Random" not in [text.get_text() for text in drawn.axes[0].get_legend().get_texts()]


@pytest.mark.parametrize("name", FIGURES)
def test_many_predictors_have_markers_of_their_own(name, one):
    names = [predictor for predictor in STYLES if predictor != "kmeans"]
    first = one[one["predictor"] == "kmeans"].head(1)
    many = [first.assign(predictor=own, label=own, sparsity=0.9 + 0.002 * place) for place, own in enumerate(names)]
    table = pd.concat([one, *many], ignore_index=True)
    figure = draw(name, table)
    own = styles(table[table["predictor"] != "full"])
    assert len({(each.colour, each.marker) for each in own.values()}) == len(own)
    legend = figure.axes[0].get_legend().get_window_extent()
    assert legend.y0 >= 0 and legend.x1 <= figure.get_figwidth() * figure.dpi


@pytest.mark.parametrize("name", FIGURES)
def test_equal_tables_give_equal_files(name, one, tmp_path):
    for path in ("first.svg", "second.svg"):
        style.save(draw(name, one), [str(tmp_path / path)])
    assert (tmp_path / "first.svg").read_bytes() == (tmp_path / "second.svg").read_bytes()
