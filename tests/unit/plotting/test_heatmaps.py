"""Heat maps: the numbers in the cells, and which point is drawn."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from drawing import draw
from sparse_attention.errors import InputError
from sparse_attention.files.tables import read_table
from sparse_attention.plotting import style
from sparse_attention.plotting.figures.heatmap_predictor import chosen_point
from sparse_attention.plotting.heatmaps import contrasting_ink


def test_cells_hold_the_percentages_of_their_head(tables, fabricate):
    gold = read_table(tables / "gold_sparsity.tsv")
    axes = draw("heatmap_gold", fabricate.CONTEXT, gold_sparsity=gold).axes[0]
    found = {tuple(int(place) for place in text.get_position()): text.get_text() for text in axes.texts}
    row = gold.query("layer == 1 and head == 2").iloc[0]
    assert found[2, 1] == f"{100 * row['gold_sparsity']:.1f}" and len(found) == 6


def test_numbers_have_the_ink_of_higher_contrast():
    greys = np.repeat(np.linspace(0, 1, 256)[:, None], 3, 1)

    def luminance(colour):
        rgb = np.array(to_rgb(colour))
        return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]

    own = np.array([luminance(grey) for grey in greys])
    against = {ink: np.maximum(own, luminance(ink)) + 0.05 for ink in (style.INK, "white")}
    contrast = {ink: top / (np.minimum(own, luminance(ink)) + 0.05) for ink, top in against.items()}
    best = np.where(contrast[style.INK] > contrast["white"], style.INK, "white")
    assert list(contrasting_ink(greys)) == list(best)


def test_the_nearest_point_is_chosen_for_each_attention(tables_of_seeds):
    points = read_table(tables_of_seeds / "predictors.tsv")
    chosen = chosen_point(points, "kmeans", 0.95, 0, "none")
    assert list(chosen["attention"]) == ["entmax~1.5", "entmax~2"]
    assert set(chosen["point"]) == {"clusters~8_runs~1_top~1"}
    assert set(chosen_point(points, "kmeans", 0.6, 0, "none")["point"]) == {"clusters~4_runs~1_top~1"}


def test_a_predictor_that_was_not_evaluated_is_refused(tables):
    points = read_table(tables / "predictors.tsv")
    with pytest.raises(InputError, match=r"figures\.heatmap\.predictor: 'l2'.*allowed: cos, kmeans"):
        chosen_point(points, "l2", 0.95, 0, "none")


def test_sparsity_and_recall_of_the_point_are_drawn(tables, fabricate):
    points, by_head = read_table(tables / "predictors.tsv"), read_table(tables / "predictors_by_head.tsv")
    setting = {"heatmap.predictor": "kmeans", "heatmap.sparsity": 0.95, "window": 0, "keep": "none"}
    figure = draw("heatmap_predictor", fabricate.CONTEXT | setting, predictors=points, predictors_by_head=by_head)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert [title for title in titles if title] == ["Sparsity", "Recall"]
    rows = by_head.query("predictor == 'kmeans' and point == 'clusters~8_runs~1_top~1' and window == 0")
    images = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert images[1][1, 0] == pytest.approx(100 * rows.query("layer == 1 and head == 0")["recall"].item())
    assert "clusters 8, runs 1, top 1" in figure.texts[1].get_text().replace("\n", " ")


@pytest.mark.parametrize("layers, heads", [(1, 1), (24, 16), (12, 64)], ids=str)
def test_any_size_can_be_drawn(layers, heads, fabricate, tmp_path):
    cells = [(layer, head) for layer in range(layers) for head in range(heads)]
    gold = pd.DataFrame(cells, columns=["layer", "head"]).assign(
        attention="entmax~1.5", seeds=1, examples=4, gold_sparsity=0.9
    )
    figure = draw("heatmap_gold", fabricate.CONTEXT, gold_sparsity=gold)
    style.save(figure, [str(tmp_path / "map.svg")])
    assert figure.get_figwidth() <= style.WIDTH + 1e-9
