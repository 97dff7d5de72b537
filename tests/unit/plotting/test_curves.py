"""Training and fitting curves: what is drawn, and bands over seeds."""

import pandas as pd
import pytest

from drawing import draw
from sparse_attention.files.tables import read_table
from sparse_attention.plotting import style


def training(folder, context):
    tables = {name: read_table(folder / f"{name}.tsv") for name in ("training", "masked_lm")}
    return draw("training_curves", context, **tables)


def test_losses_and_the_unigram_loss_are_drawn(tables, fabricate):
    axes = training(tables, fabricate.CONTEXT).axes[0]
    assert [text.get_text() for text in axes.texts] == ["unigram loss 7.30"]
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend[0].startswith("entmax 1.5 (5.") and legend[1].startswith("softmax (5.")
    validation = next(line for line in axes.lines if line.get_marker() == "o")
    assert list(validation.get_xdata()) == [0, 5, 10] and validation.get_ydata()[0] == 11
    assert not axes.collections


def test_several_seeds_have_bands(tables_of_seeds, fabricate):
    assert training(tables_of_seeds, fabricate.CONTEXT).axes[0].collections


def test_projections_have_a_curve_for_each_layer_and_split(tables, fabricate):
    figure = draw("projection_curves", fabricate.CONTEXT, projections=read_table(tables / "projections.tsv"))
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["loss", "recall", "sparsity"]
    assert all(len(axes.lines) == 4 for axes in figure.axes)
    assert figure.texts[1].get_text().endswith("linear, dim 4, shared")


def test_many_layers_and_projections_can_be_drawn(tables, fabricate, tmp_path):
    table = read_table(tables / "projections.tsv")
    other = table.assign(projection="kind~mlp_dim~8_hidden~32_shared~false")
    layers = [table.assign(layer=table["layer"] + 2 * index) for index in range(12)]
    figure = draw("projection_curves", fabricate.CONTEXT, projections=pd.concat([*layers, other]))
    assert len(figure.axes) == 6
    style.save(figure, [str(tmp_path / "curves.svg")])


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_equal_tables_give_equal_bytes(suffix, tables, fabricate, tmp_path):
    for name in "ab":
        style.save(training(tables, fabricate.CONTEXT), [str(tmp_path / f"{name}.{suffix}")])
    assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()
