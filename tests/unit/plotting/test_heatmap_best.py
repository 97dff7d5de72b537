"""The best predictor of each head: colours, numbers, close calls."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from drawing import draw
from sparse_attention.plotting import style
from sparse_attention.plotting.figures.heatmap_best import CLOSE, PALE, REST
from sparse_attention.plotting.predictor_styles import CATEGORY_COLOURS

CONTEXT = {"corpus": "wiki-2016", "model": "minilm-l6"}


def best_by_head(table, context):
    return draw("heatmap_best", context, best_by_head=table)


def colours(figure):
    return np.asarray(figure.axes[0].images[0].get_array())


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_colour_tells_the_predictor_and_the_number_its_recall(frames):
    table = frames.best_by_head().assign(margin=0.5)
    figure = best_by_head(table, CONTEXT)
    first = table["predictor"].value_counts().index[0]
    won = table.pivot(index="layer", columns="head", values="predictor").to_numpy() == first
    np.testing.assert_allclose(colours(figure)[won], np.tile(to_rgb(CATEGORY_COLOURS[0]), (won.sum(), 1)))
    assert not np.isclose(colours(figure)[~won], to_rgb(CATEGORY_COLOURS[0])).all(axis=1).any()
    row = table.query("layer == 2 and head == 5").iloc[0]
    numbers = {text.get_position(): text.get_text() for text in figure.axes[0].texts}
    assert numbers[5, 2] == f"{100 * row['recall']:.0f}" and len(numbers) == 72
    assert legend(figure.axes[0])[0] == f"{frames.PREDICTORS[first][0]} ({won.sum()})"


def test_close_calls_are_pale(frames):
    table = frames.best_by_head(1, 2, names=("cos",)).assign(margin=[CLOSE / 2, 2 * CLOSE])
    figure = best_by_head(table, CONTEXT)
    full = np.array(to_rgb(CATEGORY_COLOURS[0]))
    np.testing.assert_allclose(colours(figure)[0], [full * (1 - PALE) + PALE, full])
    assert legend(figure.axes[0])[-1] == "pale: by less than a point"
    assert len(legend(best_by_head(table.assign(margin=0.5), CONTEXT).axes[0])) == 1


def test_an_only_predictor_is_best_without_a_margin(frames):
    table = frames.best_by_head(1, 2, names=("cos",))
    assert table["margin"].isna().all()
    np.testing.assert_allclose(colours(best_by_head(table, CONTEXT))[0, 0], to_rgb(CATEGORY_COLOURS[0]))


def test_more_predictors_than_colours_become_one(frames):
    table = frames.best_by_head(1, 12).assign(margin=0.5)
    table["predictor"] = table["label"] = [f"p{index:02}" for index in range(12)]
    figure = best_by_head(table, CONTEXT)
    named = len(CATEGORY_COLOURS) - 1
    assert legend(figure.axes[0])[-1] == f"{12 - named} other predictors ({12 - named})"
    assert np.isclose(colours(figure)[0], to_rgb(REST)).all(axis=1).sum() == 12 - named


@pytest.mark.parametrize("layers, heads", [(1, 1), (24, 16), (12, 64)], ids=str)
def test_any_size_can_be_drawn(layers, heads, frames, tmp_path):
    figure = best_by_head(frames.best_by_head(layers, heads, ("entmax~1.5", "entmax~2")), CONTEXT)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["entmax 1.5", "entmax 2"]
    assert figure.get_figwidth() <= style.WIDTH + 1e-9
    for name in "ab":
        style.save(figure, [str(tmp_path / f"{name}.svg")])
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
