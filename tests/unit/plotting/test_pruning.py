"""Figures of the pruned classifiers: every number of the tables is drawn and identified."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

import drawing
from pruning_tables import DEPTH, LENGTHS, layers, quality, runs, thresholds
from sparse_attention.plotting import style
from sparse_attention.plotting.pruning import OUTCOMES, SYSTEMS, short_label
from sparse_attention.plotting.registry import create

CONTEXT = {"corpus": "big-vul", "model": "longformer"}
TWO = ("mode~threshold_final~0.005", "mode~topk_final~0.3")
ONE = TWO[:1]
EACH = pytest.mark.parametrize("names", [ONE, TWO], ids=["one-pruning", "two-prunings"])
SEEDS = pytest.mark.parametrize("seeds", [1, 3], ids=["one-seed", "three-seeds"])


RIGHT, WRONG = [2, 8, 9], [5, 7]


def draw(name, *tables):
    needs = create(name).needs
    return drawing.draw(name, CONTEXT, **dict(zip(needs, tables, strict=True)))


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def labels(axes):
    return axes.get_xlabel(), axes.get_ylabel()


def points(line):
    return [tuple(point) for point in np.column_stack(line.get_data()).astype(float).round(9).tolist()]


@EACH
@SEEDS
def test_each_pruning_has_a_line_from_all_tokens_down(names, seeds):
    figure = draw("kept_by_layer", layers(names, seeds))
    (axes,) = figure.axes
    assert labels(axes) == ("after layer (0: what enters the first)", "share of the tokens left")
    assert [points(line) for line in axes.lines] == [
        [(0, 1), *((layer + 1, round(0.9 - 0.2 * layer - 0.05 * place, 9)) for layer in range(DEPTH))]
        for place in range(len(names))
    ]
    assert len({line.get_color() for line in axes.lines}) == len(names)
    assert legend(axes) == [short_label(name, pd.Series(names)) for name in names]
    assert figure.texts[1].get_text() == f"big-vul · longformer · {'1 seed' if seeds == 1 else '3 seeds'}"
    assert len(axes.collections) == (0 if seeds == 1 else len(names))
    for place, band in enumerate(axes.collections):
        corners = {tuple(corner) for corner in band.get_paths()[0].vertices.round(6).tolist()}
        ends = [0.9 - 0.2 * layer - 0.05 * place + sign for layer in range(DEPTH) for sign in (-0.02, 0.02)]
        assert corners == {(number // 2 + 1, round(end, 6)) for number, end in enumerate(ends)}


@EACH
@SEEDS
def test_thresholds_are_drawn_before_and_after(names, seeds):
    (axes,) = draw("threshold_curves", thresholds(names, seeds)).axes
    assert labels(axes) == ("layer", "threshold of the importance score") and len(axes.lines) == 2 * len(names)
    for place, name in enumerate(names):
        before, after = axes.lines[2 * place : 2 * place + 2]
        assert points(before) == [(layer + 1, round(0.1 * (layer + 1) + place, 9)) for layer in range(DEPTH)]
        assert points(after) == [(layer + 1, round(0.15 * (layer + 1) + place, 9)) for layer in range(DEPTH)]
        assert before.get_linestyle() != "-" == after.get_linestyle() and before.get_color() == after.get_color()
        assert after.get_label() == short_label(name, pd.Series(names))
    assert legend(axes) == [*(line.get_label() for line in axes.lines[1::2]), "before"]
    assert axes.get_ylim()[0] == 0


def test_many_prunings_look_different():
    names = [f"mode~topk_final~{share}" for share in (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5)]
    (axes,) = draw("threshold_curves", thresholds(names)).axes
    assert len({(line.get_color(), line.get_marker()) for line in axes.lines[1::2]}) == len(names)


def test_a_threshold_below_zero_is_seen():
    table = thresholds(ONE)
    table.loc[0, "after"] = -0.05
    low, high = draw("threshold_curves", table).axes[0].get_ylim()
    assert low <= -0.05 and high >= table["after"].max()


@EACH
@SEEDS
@pytest.mark.parametrize(("metric", "label"), [("f1", "F1"), ("roc_auc", "ROC AUC")])
def test_each_system_is_a_point_with_its_interval(names, seeds, metric, label):
    table = quality(names, seeds)
    figure = draw(f"pruning_{metric}", table)
    (axes,) = figure.axes
    assert labels(axes) == ("multiply-adds of the layers, over those of the library's dense model", label)
    own = table[(table["way"] == "dropped") & ((table["system"] != "dense") | (table["pruning"] == names[0]))]
    own = own.to_dict("records")
    assert len(axes.containers) == len(own) == len(names) * (len(SYSTEMS) - 1) + 1
    for row, (point, _, (bar,)) in zip(own, axes.containers, strict=True):
        assert points(point) == [(round(row["relative_flops"], 9), round(row[metric], 9))]
        np.testing.assert_allclose(bar.get_segments()[0][:, 1], [row[f"{metric}_low"], row[f"{metric}_high"]])
        assert point.get_color() == SYSTEMS[row["system"]][1]
    assert len({point.get_marker() for point, *_ in axes.containers}) == len(names)
    prunings = [short_label(name, pd.Series(names)) for name in names if len(names) > 1]
    assert legend(axes) == [*(words for words, _ in SYSTEMS.values()), *prunings] and axes.get_xlim()[0] == 0
    assert figure.texts[1].get_text().endswith("test, 1 positive of 50 functions")
    assert ("1 seed " if seeds == 1 else "3 seeds") in figure.texts[1].get_text()


@pytest.mark.parametrize(
    ("costs", "moved"),
    [
        ({"topk": 0.5, "random": 0.5}, {"topk": -0.5, "random": 0.5}),
        ({"topk": 0.5, "random": 0.5 - 1e-4}, {"topk": 0.5, "random": -0.5}),
        ({"hard": 0.5, "topk": 0.5, "random": 0.5}, {"hard": -1, "topk": 0, "random": 1}),
        ({"hard": 0.45, "topk": 0.5, "random": 0.5}, {"hard": 0, "topk": -0.5, "random": 0.5}),
        ({"topk": 0.5, "random": 0.52}, {"topk": 0, "random": 0}),
    ],
    ids=["equal", "nearly", "three", "another-apart", "apart"],
)
def test_bars_of_equal_cost_stand_side_by_side(costs, moved):
    """In gaps of 1.2 % of the dearest, around their mean; those of another pruning do not count."""
    table = quality(TWO)
    table = table[table["system"].isin(["dense", *costs])]
    table["relative_flops"] = table["system"].map({"dense": 1.0, **costs})
    drawn = draw("pruning_f1", table).axes[0].containers
    own = table[(table["way"] == "dropped") & ((table["system"] != "dense") | (table["pruning"] == TWO[0]))]
    for system, (point, *_) in zip(own["system"], drawn, strict=True):
        steps = (point.get_xdata()[0] - {"dense": 1.0, **costs}[system]) / 0.012
        assert steps == pytest.approx({"dense": 0, **moved}[system], abs=0.01)


def test_without_intervals_points_have_no_bars():
    (axes,) = draw("pruning_f1", quality(ONE, intervals=False)).axes
    for _, _, (bar,) in axes.containers:
        assert np.ptp(bar.get_segments()[0][:, 1]) == 0
    assert len(axes.containers) == len(SYSTEMS)


def test_a_pruning_with_the_name_of_a_system_has_its_own_legend_entry():
    table = quality(["mode~topk_final~0.3", "mode~random_final~0.3"])
    axes = draw("pruning_f1", table).axes[0]
    assert legend(axes)[: len(SYSTEMS)] == [words for words, _ in SYSTEMS.values()]
    colours = [handle.get_color() for handle in axes.get_legend().legend_handles]
    assert colours[: len(SYSTEMS)] == [colour for _, colour in SYSTEMS.values()] and len(colours) == len(SYSTEMS) + 2


def only_hides(table, name):
    """Return a table in which the hard pruning `name` was never evaluated with tokens removed."""
    lacks = (table["system"] == "hard") & (table["way"] == "dropped") & (table["pruning"] == name)
    return table[~lacks]


def test_a_pruning_that_only_masks_is_drawn_by_its_masked_rows():
    table = only_hides(quality(TWO), TWO[1])
    axes = draw("pruning_f1", table).axes[0]
    assert len(axes.containers) == 2 * len(SYSTEMS) - 1
    left = only_hides(layers(TWO), TWO[1])
    lines = draw("kept_by_layer", left).axes[0].lines
    assert [points(line)[1] for line in lines] == [(1, 0.9), (1, 0.05)]
    kept, said = (frame.assign(pruning="A") for frame in runs())
    kept, said = (only_hides(frame, "A").drop(columns="pruning") for frame in (kept, said))
    axes = draw("pruned_lengths", kept, said).axes[0]
    assert points(axes.lines[0]) == [(9 * LENGTHS[one][0], 9 * LENGTHS[one][0] / 4) for one in RIGHT]


def test_systems_differ_in_colour():
    words, colours = zip(*SYSTEMS.values(), strict=True)
    assert len(set(words)) == len(set(colours)) == len(SYSTEMS)


def test_lengths_are_drawn_by_function_and_spread_by_layer():
    figure = draw("pruned_lengths", *runs())
    left, right = figure.axes
    assert labels(left) == ("tokens of the function", "tokens left by the last layer")
    assert labels(right) == ("tokens", "functions") and legend(left) == ["classified rightly", "wrongly"]
    expected = [[(LENGTHS[one][0], LENGTHS[one][0] / 4) for one in group] for group in (RIGHT, WRONG)]
    assert [points(line) for line in left.lines] == [*expected, [(0, 0), (40, 40)]]
    assert legend(right) == ["before", *(f"left by layer {layer + 1}" for layer in range(DEPTH))]
    assert len(right.patches) == 1 + DEPTH
    for place, patch in enumerate(right.patches):
        corners = patch.get_xy()
        # a step goes twice through each corner: the height of a bin is that of its first one
        heights = corners[1:-1:2, 1]
        values = [tokens if not place else tokens / (place + 1) for tokens, *_ in LENGTHS.values()]
        np.testing.assert_allclose(heights, np.histogram(values, np.linspace(0, 40, 25))[0])
    assert len({to_hex(patch.get_edgecolor()) for patch in right.patches}) == 1 + DEPTH
    assert figure.texts[1].get_text() == "big-vul · longformer"


def test_lengths_are_drawn_for_each_layer_and_spread_for_the_last():
    figure = draw("pruned_lengths_by_layer", *runs())
    *panels, spread = figure.axes
    assert len(panels) == DEPTH
    for layer, panel in enumerate(panels):
        diagonal, *groups = panel.lines
        assert points(diagonal) == [(0, 0), (40, 40)]
        for line, group, (_, colour) in zip(groups, (RIGHT, WRONG), OUTCOMES.values(), strict=True):
            assert points(line) == [(LENGTHS[one][0], round(LENGTHS[one][0] / (layer + 2), 9)) for one in group]
            assert line.get_color() == colour
        assert panel.get_title(loc="left") == f"layer {layer + 1}: {1 / (layer + 2):.0%} left"
    assert [panel.get_ylabel() for panel in panels] == ["tokens left", "", ""]
    assert {panel.get_xlabel() for panel in panels} == {"tokens before"}
    for patch, group in zip(spread.patches, (RIGHT, WRONG), strict=True):
        corners = patch.get_xy()
        assert corners[1:-1:2, 1].sum() == pytest.approx(1)
        filled = {int(left) for left, height in corners[1:-1:2] if height}
        assert filled == {int(LENGTHS[one][0] / (DEPTH + 1)) for one in group}
    medians = [line.get_xdata()[0] for line in spread.lines]
    assert medians == [np.median([LENGTHS[one][0] / (DEPTH + 1) for one in group]) for group in (RIGHT, WRONG)]
    (found,) = figure.legends
    assert [text.get_text() for text in found.get_texts()] == ["classified rightly (3)", "wrongly (2)"]
    assert figure.texts[1].get_text() == "big-vul · longformer · 5 test functions"


def test_panels_of_many_layers_stand_in_rows_and_only_the_outer_ones_are_labelled():
    kept, said = runs()
    deep = pd.concat([kept.assign(layer=kept["layer"] + DEPTH * time) for time in range(2)])
    *panels, spread = draw("pruned_lengths_by_layer", deep, said).axes
    assert [bool(panel.get_ylabel()) for panel in panels] == [True, False, False, False, True, False]
    assert [bool(panel.get_xlabel()) for panel in panels] == [False, False, True, True, True, True]
    lowest = min(panel.get_position().y0 for panel in panels)
    assert panels[4].get_position().y1 < panels[0].get_position().y0 and spread.get_position().y1 < lowest


@pytest.mark.parametrize(
    ("name", "needs"),
    {"pruned_lengths_by_layer": 2, "pruned_lengths": 2, "pruned_operations": 1}.items(),
    ids=["by layer", "lengths", "operations"],
)
@pytest.mark.parametrize(("functions", "as_image"), [(10, False), (10_001, True)], ids=["few", "many"])
def test_very_many_dots_are_an_image(name, needs, functions, as_image, tmp_path):
    numbers = np.arange(functions)
    said = pd.DataFrame(
        {"system": "hard", "way": "dropped", "function": numbers, "tokens": 9 + numbers % 90, "label": 1,
         "probability": (numbers % 3) / 2, "dense_gflops": 2.0, "gflops": 1.0}
    )  # fmt: skip
    kept = pd.concat([said[["system", "way", "function"]].assign(layer=layer, kept=numbers % 9) for layer in (0, 1)])
    style.save(draw(name, *(kept, said)[-needs:]), [str(tmp_path / "figure.svg")])
    text = (tmp_path / "figure.svg").read_text(encoding="utf-8")
    assert ("<image" in text) is as_image and len(text) < 5e5


def test_a_layer_that_leaves_nothing_and_no_wrong_prediction_can_be_drawn():
    kept, said = runs()
    *panels, spread = draw("pruned_lengths_by_layer", kept.assign(kept=0), said.assign(probability=said["label"])).axes
    assert len(spread.patches) == 1 and {panel.get_title(loc="left")[-7:] for panel in panels} == {"0% left"}


def test_operations_are_drawn_by_length():
    figure = draw("pruned_operations", runs()[1])
    (axes,) = figure.axes
    assert labels(axes) == ("tokens of the function", "10⁹ operations") and legend(axes) == ["dense", "pruned"]
    lengths = [tokens for tokens, *_ in LENGTHS.values()]
    for line, share in zip(axes.lines, (10, 100), strict=True):
        assert points(line) == [(tokens, round(tokens / share, 9)) for tokens in lengths]
    assert axes.get_xlim()[0] == axes.get_ylim()[0] == 0


def test_functions_that_are_all_classified_rightly_can_be_drawn():
    kept, said = runs()
    left = draw("pruned_lengths", kept, said.assign(probability=said["label"])).axes[0]
    assert [len(points(line)) for line in left.lines] == [len(LENGTHS), 0, 2]


def test_many_prunings_are_all_drawn():
    names = [f"mode~topk_final~0.{number}" for number in range(10, 30)]
    assert len(draw("kept_by_layer", layers(names)).axes[0].lines) == 20
    assert len(draw("threshold_curves", thresholds(names)).axes[0].lines) == 40
    assert len(draw("pruning_f1", quality(names)).axes[0].containers) == 20 * (len(SYSTEMS) - 1) + 1


@pytest.mark.parametrize(
    ("name", "panel"), [("kept_by_layer", (4.3, 2.8)), ("thresholds", (4.4, 2.8)), ("quality", (4.3, 3.1))]
)
def test_a_long_legend_makes_the_figure_longer_and_leaves_the_panel(name, panel):
    names = [f"mode~threshold_score~relative_temperature~0.0005_final~0.0{number}" for number in range(10, 30)]
    few, many = (FIGURES[name](names[:number], 1) for number in (2, 20))
    assert many.get_figheight() > few.get_figheight()
    for figure in (few, many):
        (axes,) = figure.axes
        box = axes.get_legend().get_window_extent()
        assert box.y0 > 0 and box.x1 < figure.get_figwidth() * figure.dpi
        placed = axes.get_position()
        width, height = figure.get_size_inches()
        assert (placed.width * width, placed.height * height) == pytest.approx(panel)
        assert (1 - placed.y1) * height == pytest.approx(0.55)


FIGURES = {
    "kept_by_layer": lambda names, seeds: draw("kept_by_layer", layers(names, seeds)),
    "thresholds": lambda names, seeds: draw("threshold_curves", thresholds(names, seeds)),
    "quality": lambda names, seeds: draw("pruning_f1", quality(names, seeds)),
    "lengths": lambda names, seeds: draw("pruned_lengths", *runs()),
    "lengths_by_layer": lambda names, seeds: draw("pruned_lengths_by_layer", *runs()),
    "operations": lambda names, seeds: draw("pruned_operations", runs()[1]),
}


def test_without_thresholds_the_figure_says_so():
    figure = draw("threshold_curves", thresholds(ONE).iloc[:0])
    assert not figure.axes and figure.texts[-1].get_text() == "No pruning has thresholds."


@pytest.mark.parametrize("name", FIGURES)
def test_equal_tables_give_equal_bytes(name, tmp_path):
    for file in "ab":
        style.save(FIGURES[name](TWO, 3), [str(tmp_path / f"{file}.svg")])
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert b"<svg" in (tmp_path / "a.svg").read_bytes()


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["mode~threshold_final~0.005_lambda~0.1"], ["learned"]),
        (["mode~topk_score~cls_final~0.3"] * 2, ["topk"]),
        (TWO, ["threshold, final 0.005", "topk, final 0.3"]),
        (["mode~topk_final~0.3", "mode~random_final~0.3"], ["topk", "random"]),
        (["mode~manual_final~0.1_lambda~0.1", "mode~manual_final~0.2_lambda~0.1"], ["final 0.1", "final 0.2"]),
        (["mode~manual_score~cls_final~0.1", "mode~manual_score~relative_final~0.2"],
         ["score cls, final 0.1", "score relative, final 0.2"]),
    ],
    ids=["one", "one-in-many-rows", "mode-and-final", "mode", "final", "score-and-final"],
)  # fmt: skip
def test_short_names_say_what_differs(names, expected):
    assert [short_label(name, pd.Series(names)) for name in names] == [*expected, *expected][: len(names)]


@pytest.mark.parametrize(
    "names",
    [
        ["mode~threshold_final~0.01", "mode~threshold_final~0.01_lambda~0.1"],
        ["mode~threshold_final~0.01", "mode~threshold_final~0.01_ramp~zero_based"],
        ["mode~topk_final~0.3", "mode~topk_score~cls_final~0.3", "mode~random_final~0.3"],
    ],
    ids=["lambda", "ramp", "score"],
)
def test_a_pruning_with_the_defaults_has_a_name_among_others(names):
    """Path segments leave out what has its default, so the one of a pruning may be part of another's."""
    found = [short_label(name, pd.Series(names)) for name in names]
    assert all(found) and len(set(found)) == len(names)
    assert legend(draw("kept_by_layer", layers(names)).axes[0]) == found
