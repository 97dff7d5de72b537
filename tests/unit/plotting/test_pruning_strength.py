"""The figure of lambdas: what differs in lambda only is joined, and every number is drawn where it belongs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from drawing import draw
from sparse_attention.plotting import style
from sparse_attention.plotting.pruning import short_label

CONTEXT = {"corpus": "big-vul", "model": "longformer"}
GROUPS = ["mode~threshold_final~0.1", "mode~threshold_score~cls_final~0.1", "mode~manual_ramp~zero_based_final~0.3"]
LAMBDAS = (0.1, 0.0, 3.0)  # not in order


def strength(table, context):
    return draw("pruning_strength", context, pruning=table)


def named(group, weight):
    """Return the path segment of a pruning, which leaves out a lambda of 0."""
    return group.replace("_final", f"_lambda~{weight:g}_final") if weight else group


def quality_table(groups=GROUPS[:1], lambdas=LAMBDAS, seeds=1, others=("mode~topk_final~0.2",)):
    names = [*(named(group, weight) for group in groups for weight in lambdas), *others]
    rows = [
        {"pruning": name, "system": system, "way": way, "seeds": seeds, "functions": 50, "positive": 1,
         "kept_share": (1 if system == "dense" else 0.7 if way == "dropped" else 0.1) - 0.05 * place,
         "f1": 0.9 if system == "dense" else 0.8 - 0.02 * place}
        for place, name in enumerate(names)
        for system in ("dense", "hard", "topk")
        for way in ("masked", "dropped")
    ]  # fmt: skip
    half = np.nan if seeds == 1 else 0.1
    table = pd.DataFrame(rows).assign(kept_share_ci95=half)
    return table.assign(f1_low=table["f1"] - 0.1, f1_high=table["f1"] + 0.05)


def hard(table, group, weight):
    own = table.query("system == 'hard' and way == 'dropped'").set_index("pruning")
    return own.loc[named(group, weight)]


def ends(container):
    return [segment[:, 1].tolist() for segment in container[2][0].get_segments()]


@pytest.mark.parametrize("groups", [GROUPS[:1], GROUPS], ids=["one-group", "three-groups"])
@pytest.mark.parametrize("seeds", [1, 3], ids=["one-seed", "three-seeds"])
def test_each_group_is_a_line_over_lambdas_in_both_panels(groups, seeds):
    table = quality_table(groups, seeds=seeds)
    figure = strength(table, CONTEXT)
    shares, scores = figure.axes
    assert len(shares.containers) == len(scores.containers) == len(groups)
    for number, group in enumerate(groups):
        rows = [hard(table, group, weight) for weight in sorted(LAMBDAS)]
        share, score = shares.containers[number], scores.containers[number]
        assert share[0].get_ydata().tolist() == [row["kept_share"] for row in rows]
        assert score[0].get_ydata().tolist() == [row["f1"] for row in rows]
        half = 0 if seeds == 1 else 0.1
        np.testing.assert_allclose(ends(share), [[row["kept_share"] - half, row["kept_share"] + half] for row in rows])
        np.testing.assert_allclose(ends(score), [[row["f1_low"], row["f1_high"]] for row in rows])
        places = share[0].get_xdata()
        assert np.abs(places - np.arange(3)).max() < 0.2 and (places == score[0].get_xdata()).all()
        assert share[0].get_color() == score[0].get_color()
    assert len({(line[0].get_color(), line[0].get_marker()) for line in shares.containers}) == len(groups)
    assert len({line[0].get_xdata()[0] for line in shares.containers}) == len(groups), "bars do not hide each other"
    legend = [text.get_text() for text in shares.get_legend().get_texts()]
    assert legend == ["nothing pruned", *(short_label(group, pd.Series(groups)) for group in groups)]
    assert figure.texts[1].get_text().endswith("test, 1 positive of 50 functions")


def test_lambdas_are_evenly_spaced_and_named_and_zero_is_among_them():
    shares, scores = strength(quality_table(), CONTEXT).axes
    assert scores.get_xticks().tolist() == [0, 1, 2]
    assert [label.get_text() for label in scores.get_xticklabels()] == ["0", "0.1", "3"]
    assert (scores.get_xlabel(), scores.get_ylabel()) == ("weight λ of the regulariser, evenly spaced", "F1")
    assert shares.get_ylim() == (0, 1.02) and shares.get_xlim() == scores.get_xlim()


def test_a_group_need_not_have_every_lambda():
    table = quality_table(GROUPS[:2])
    _, scores = strength(table[table["pruning"] != named(GROUPS[0], 0.1)], CONTEXT).axes
    first, second = ([round(place) for place in line[0].get_xdata()] for line in scores.containers)
    assert first == [0, 2] and second == [0, 1, 2]


def test_the_dense_model_is_a_line_with_its_interval():
    _, scores = strength(quality_table(), CONTEXT).axes
    (dense,) = [line for line in scores.lines if line.get_label() == "nothing pruned"]
    assert set(dense.get_ydata()) == {0.9}
    (band,) = scores.patches
    assert band.get_y() == pytest.approx(0.8) and band.get_height() == pytest.approx(0.15)


def test_without_intervals_nothing_but_the_lines_is_drawn():
    table = quality_table().assign(f1_low=np.nan, f1_high=np.nan)
    _, scores = strength(table, CONTEXT).axes
    assert np.ptp(ends(scores.containers[0]), axis=1).tolist() == [0, 0, 0]
    assert np.isfinite(scores.get_ylim()).all() and scores.get_ylim()[0] < 0.76 < 0.9 < scores.get_ylim()[1]


@pytest.mark.parametrize("number", [4, 12])
def test_text_stays_within_the_figure(number):
    figure = strength(quality_table(GROUPS, [0.0, *(0.001 * 2**power for power in range(number))]), CONTEXT)
    width, height = figure.get_size_inches() * figure.dpi
    for axes in figure.axes:
        box = axes.get_tightbbox(figure._get_renderer())
        assert min(box.x0, box.y0) >= 0 and box.x1 <= width and box.y1 <= height


def test_equal_tables_give_equal_bytes(tmp_path):
    for file in "ab":
        style.save(strength(quality_table(GROUPS, seeds=3), CONTEXT), [str(tmp_path / f"{file}.svg")])
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
