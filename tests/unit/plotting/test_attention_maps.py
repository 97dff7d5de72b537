"""Attention maps: the cells, the tokens beside them, and any number of panels."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex

from sparse_attention.files.tables import read_table
from sparse_attention.plotting import style
from sparse_attention.plotting.registry import create
from sparse_attention.plotting.token_maps import ADDED, HIT, LONGEST, drawable, token_texts
from sparse_attention.summaries.tables.attention_maps import attention_maps_table

SETTING = {"corpus": "wiki-2016", "model": "minilm-l6", "map_attention.example": 3, "map_attention.sparsity": 0.9}


def draw(table):
    return create("attention_maps").draw({"attention_maps": table}, SETTING)


def made(fabricate, folder, **options):
    return attention_maps_table(*fabricate.maps(folder, **options), 0.9)


def panels(figure):
    """The maps of a figure; the colour bar of its legend is no image."""
    return [axes for axes in figure.axes if axes.images]


def test_cells_are_gold_probabilities_hits_additions_and_misses(tables):
    table = read_table(tables / "attention_maps.tsv")
    found = panels(draw(table))
    assert len(found) == 2 * 4
    for place, layer in enumerate((0, 1)):
        gold, *predicted = found[4 * place : 4 * place + 4]
        own = table.query(f"layer == {layer}")
        shades = np.ma.filled(gold.images[0].get_array(), np.nan)
        for name, panel in zip(("window", "cos", "kmeans"), predicted, strict=True):
            cells, image = np.ma.filled(panel.images[0].get_array(), np.nan), panel.images[0]
            crosses = set(zip(*(axis.astype(int).tolist() for axis in panel.lines[0].get_data()), strict=True))
            missed = set()
            for row in own[own["predictor"] == name].to_dict("records"):
                wanted, place_of = row["probability"] > 0, (row["query"], row["key"])
                assert shades[place_of] == pytest.approx(row["probability"]) if wanted else np.isnan(shades[place_of])
                if row["predicted"]:
                    colour = to_hex(image.cmap(image.norm(cells[place_of])))
                    assert colour == (HIT.lower() if wanted else ADDED)
                else:
                    assert np.isnan(cells[place_of])
                    missed.add((row["key"], row["query"]))
            assert crosses == missed
            assert np.isfinite(cells).sum() == own.query(f"predictor == '{name}'")["predicted"].sum()


def test_tokens_are_on_the_left_and_below_and_titles_above(tables, fabricate):
    figure = draw(read_table(tables / "attention_maps.tsv"))
    found = panels(figure)
    words = [drawable(word) for word in fabricate.WORDS]
    for place, panel in enumerate(found):
        labels = [[tick.get_text() for tick in ticks] for ticks in (panel.get_yticklabels(), panel.get_xticklabels())]
        assert labels == [words if place % 4 == 0 else [], words if place >= 4 else []]
    above = [{text.get_text() for text in panel.texts} for panel in found[:4]]
    assert {"Full attention (gold)", "row: query", "layer 0, head 2"} <= above[0] and "Window" in above[1]
    assert {"K-means clusters", "88.0% sparsity", "linear, dim 4, shared"} <= above[3]
    assert figure.texts[1].get_text().endswith("validation example 3 · first 12 tokens · points nearest 90% sparsity")
    assert len(figure.legends[0].get_texts()) == 3


@pytest.mark.parametrize(
    ("text", "written"),
    [("word", "word"), ("$x$", r"\$x\$"), ("<b>", "<b>"), ("\U000e0041x", "□x"), ("x" * 40, "x" * (LONGEST - 1) + "…")],
    ids=["plain", "formula", "markup", "no glyph", "long"],
)
def test_a_token_is_drawn_as_it_is(text, written):
    assert drawable(text) == written


def test_a_position_stands_for_a_token_that_no_pair_names(tables):
    table = read_table(tables / "attention_maps.tsv")
    rows = table[(table["query"] != 4) & (table["key"] != 4)]
    assert token_texts(rows, 12)[3:6] == [r"\$", "4", '"']


@pytest.mark.parametrize(
    ("tokens", "layers", "attentions"),
    [(2, 1, ("entmax~1.5",)), (40, 3, ("entmax~1.5", "entmax~2"))], ids=["smallest", "largest"],
)  # fmt: skip
def test_any_size_can_be_drawn(tokens, layers, attentions, fabricate, tmp_path):
    words = [f"token{place}" for place in range(tokens)]
    figure = draw(made(fabricate, tmp_path, attentions=attentions, words=words, layers=layers))
    style.save(figure, [str(tmp_path / "maps.svg")])
    assert figure.get_figwidth() <= style.WIDTH + 1e-9
    assert len(panels(figure)) == 4 * layers * len(attentions)
    heads = [text.get_text() for panel in panels(figure) for text in panel.texts if "layer" in text.get_text()]
    assert all(text.startswith("entmax") for text in heads) == (len(attentions) > 1)


@pytest.mark.parametrize("predictors", [1, 2, 3])
def test_the_legend_fits_below_any_number_of_maps(predictors, tables):
    table = read_table(tables / "attention_maps.tsv")
    figure = draw(table[table["predictor"].isin(table["predictor"].unique()[:predictors])])
    renderer = FigureCanvasAgg(figure).get_renderer()
    legend = figure.legends[0].get_window_extent(renderer)
    assert legend.x1 <= figure.bbox.x1 and legend.y0 >= figure.bbox.y0
    assert legend.y1 <= min(panel.get_tightbbox(renderer).y0 for panel in panels(figure))


def test_without_pairs_a_sentence_says_so(tables):
    figure = draw(read_table(tables / "attention_maps.tsv")[:0])
    assert not figure.axes and "map_attention.tokens can be higher" in figure.texts[-1].get_text()
