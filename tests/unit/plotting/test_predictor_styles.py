"""Styles of predictors are distinct, and groups contain every predictor."""

import pandas as pd

from sparse_attention.plotting.predictor_styles import (
    OTHERS,
    STYLES,
    distinct_styles,
    group_of,
    groups,
    is_bound,
    styles_of,
)
from sparse_attention.predictors.registry import GROUPS, discover

BOUNDS = ("oracle", "random")


def test_every_predictor_has_a_style_of_its_own():
    names = [*STYLES, *(f"new{index}" for index in range(60))]
    pairs = [(own_style.colour, own_style.marker) for name, own_style in styles_of(names).items() if name not in BOUNDS]
    assert len(set(pairs)) == len(pairs)


def test_more_predictors_than_styles_are_drawn_nevertheless():
    assert len(styles_of(f"new{index}" for index in range(300))) == 300


def test_colours_differ_within_a_group(frames):
    table = frames.predictors(points=1)
    for group, rows in groups(table[~is_bound(table)]).items():
        colours = [STYLES[name].colour for name in rows["predictor"].unique()]
        assert len(set(colours)) == len(colours), group


def test_colours_differ_within_a_panel_of_several_groups(frames):
    names = ("kmeans", "pca", "gate", "fixed", "cos", "window", "mine", "hash_attention", "xattention", "oracle")
    own, shared = styles_of(names), distinct_styles(names)
    real = [name for name in names if name != "oracle"]
    assert len({shared[name].colour for name in real}) == len(real)
    assert all(shared[name].marker == own[name].marker for name in names)
    assert {name for name in real if shared[name] == own[name]} >= {"window", "cos", "kmeans", "fixed"}
    assert shared["oracle"] == own["oracle"] and distinct_styles(reversed(names)) == shared
    assert len(distinct_styles(f"new{index}" for index in range(60))) == 60


def test_a_style_does_not_depend_on_the_order_of_predictors():
    assert styles_of(["b", "a", "cos"]) == styles_of(["cos", "a", "b"])
    assert styles_of(["cos"])["cos"] is STYLES["cos"]


def test_every_predictor_that_ships_has_a_group():
    assert {name for name, info in discover().items() if not info.bound and group_of(name) == OTHERS} == set()
    assert group_of("mine") == OTHERS


def test_groups_come_in_their_order_and_hold_every_row():
    rows = pd.DataFrame({"predictor": ["mine", "gate", "window", "strided"], "row": range(4)})
    found = groups(rows)
    assert list(found) == ["Patterns that ignore content", "Learned selectors", OTHERS]
    assert sorted(row for own in found.values() for row in own["row"]) == [0, 1, 2, 3]
    assert set(found) <= {*GROUPS, OTHERS}


def test_bounds_are_known_with_and_without_their_column():
    rows = pd.DataFrame({"predictor": ["cos", "oracle"], "bound": [None, "upper"]})
    for columns in (["bound"], ["predictor"]):
        assert is_bound(rows[columns]).tolist() == [False, True]
