"""Levels against plain loops, with ties, infinities, NaN, values at the bounds, and bounds per head."""

from __future__ import annotations

import math

import pytest
import torch

from covering import all_pairs
from sparse_attention.attention.levels import (
    MAX_LEVELS,
    ascending,
    levels_at_least,
    levels_of_budgets,
    levels_of_thresholds,
)

SHAPES = {"rows": (7, 13), "heads": (3, 5, 9), "one-key": (3, 4, 1), "one": (1, 1, 1), "wide": (2, 3, 130)}
KINDS = ["distinct", "tied", "masked", "tied-masked", "infinite", "constant"]
BUDGETS = [[0], [1], [3], [0, 1, 2, 4, 8, 1000], [5, 6, 7], [1000], [9], [13], [0, 1000, 2000]]


def values_of(kind, shape, dtype=torch.float32):
    generator = torch.Generator().manual_seed(3)
    values = torch.randn(shape, generator=generator, dtype=dtype)
    if "tied" in kind:
        values = values.round()
    if kind == "constant":
        values = torch.full_like(values, 0.5)
    if kind == "infinite":
        values = torch.where(values > 0.7, math.inf, torch.where(values < -0.7, -math.inf, values))
    if "masked" in kind:
        values = values.masked_fill(torch.rand(shape, generator=generator) < 0.4, -math.inf)
        values[..., 0, :] = -math.inf  # a row with nothing to choose
    return values


def bounded(*bounds):
    return all_pairs(shape=SHAPES, kind=KINDS, bounds=bounds)


def first_place(value, bounds, holds):
    return next((place for place, bound in enumerate(bounds) if holds(value, bound)), len(bounds))


def plain(values, bounds, holds):
    """Levels in a loop; `bounds` may differ by head."""
    rows = [first_place(value, bounds, holds) for value in values.flatten().tolist()]
    return torch.tensor(rows, dtype=torch.uint8).reshape(values.shape)


def plain_budgets(values, budgets):
    rows = []
    for row in values.reshape(-1, values.shape[-1]).tolist():
        order = sorted((key for key in range(len(row)) if row[key] != -math.inf), key=lambda key: (-row[key], key))
        rank = {key: place for place, key in enumerate(order)}
        rows.append([first_place(rank.get(key, math.inf), budgets, lambda r, b: r < b) for key in range(len(row))])
    return torch.tensor(rows, dtype=torch.uint8).reshape(values.shape)


@bounded([0.5], [-1.0, 0.0, 1.0], [0.5, 0.5], [-math.inf, 0.0, math.inf])
def test_thresholds_are_compared_strictly(shape, kind, bounds):
    values = values_of(kind, shape)
    found = levels_of_thresholds(values, bounds)
    assert found.dtype == torch.uint8
    assert torch.equal(found, plain(values, bounds, lambda value, bound: value < bound))


@bounded([0.5], [1.0, 0.0, -1.0], [0.5, 0.5], [math.inf, 0.0, -math.inf])
def test_bounds_are_reached_by_their_equals(shape, kind, bounds):
    values = values_of(kind, shape)
    found = levels_at_least(values, bounds)
    assert found.dtype == torch.uint8
    assert torch.equal(found, plain(values, bounds, lambda value, bound: value >= bound))


@bounded(*BUDGETS)
def test_budgets_are_ranks_and_of_equals_the_first(shape, kind, bounds):
    values, budgets = values_of(kind, shape), bounds
    found = levels_of_budgets(values, budgets)
    assert found.dtype == torch.uint8
    assert torch.equal(found, plain_budgets(values, budgets))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("budgets", BUDGETS, ids=str)
def test_budgets_choose_as_many_as_there_are(budgets, dtype):
    scores = values_of("tied-masked", (3, 5, 40), dtype)
    available = (scores > -math.inf).sum(-1)
    levels = levels_of_budgets(scores, budgets)
    for place, budget in enumerate(budgets):
        chosen = levels <= place
        assert torch.equal(chosen.sum(-1), available.clamp(max=budget))
        assert not (chosen & (scores == -math.inf)).any()


@pytest.mark.parametrize("lowest", [torch.finfo(torch.float32).min, -1e30])
def test_the_lowest_finite_scores_may_be_chosen(lowest):
    scores = torch.tensor([[lowest, -math.inf, lowest, 0.0]])
    assert levels_of_budgets(scores, [1, 2, 3]).tolist() == [[1, 3, 2, 0]]


@pytest.mark.parametrize("function", [levels_of_thresholds, levels_at_least])
@pytest.mark.parametrize("kind", ["distinct", "tied"])
def test_bounds_per_head_are_those_of_each_head_alone(function, kind):
    values = values_of(kind, (3, 4, 6))
    bounds = [[-1.0, 0.0, 1.0], [0.0, 0.0, 2.0], [1.0, 0.5, 3.0]]
    if function is levels_at_least:
        bounds = bounds[::-1]
    for given in (bounds, [torch.tensor(bound) for bound in bounds], [bounds[1]]):
        found = function(values, given)
        for head in range(3):
            assert torch.equal(found[head], function(values[head], [float(bound[head]) for bound in given]))


def test_bounds_per_head_and_for_all_go_together():
    values = values_of("tied", (2, 4, 6))
    found = levels_of_thresholds(values, [-1.0, [0.0, 1.0], 2.0])
    assert torch.equal(found[0], levels_of_thresholds(values[0], [-1.0, 0.0, 2.0]))
    assert torch.equal(found[1], levels_of_thresholds(values[1], [-1.0, 1.0, 2.0]))


def test_bounds_per_head_spread_values_that_are_the_same_for_all():
    values = values_of("tied", (1, 4, 6))
    assert torch.equal(
        levels_of_thresholds(values, [[0.0, 1.0]]), levels_of_thresholds(values.expand(2, -1, -1), [[0.0, 1.0]])
    )


def test_bounds_are_compared_in_the_precision_of_the_values():
    tenth = torch.tensor([0.1])
    assert levels_of_thresholds(tenth, [0.1]).tolist() == [1]
    assert levels_at_least(tenth, [0.1]).tolist() == [0]
    assert levels_of_thresholds(tenth.double(), [0.1]).tolist() == [1]  # float32 0.1 is above 0.1
    assert levels_of_thresholds(tenth.nextafter(torch.zeros(1)), [0.1]).tolist() == [0]


def test_whole_numbers_are_distances_too():
    assert levels_of_thresholds(torch.arange(5), [1, 3]).tolist() == [0, 1, 1, 2, 2]


def test_nan_is_below_nothing_and_reaches_nothing():
    values = torch.tensor([math.nan, 0.0])
    assert levels_of_thresholds(values, [1.0, math.inf]).tolist() == [2, 0]
    assert levels_at_least(values, [0.0, -math.inf]).tolist() == [2, 0]


def test_values_that_are_not_contiguous_and_are_left_as_they_were():
    values = values_of("tied", (3, 6, 5))
    turned, before = values.transpose(1, 2), values.clone()
    assert torch.equal(levels_of_thresholds(turned, [0.0, 1.0]), levels_of_thresholds(turned.contiguous(), [0.0, 1.0]))
    assert torch.equal(levels_of_budgets(turned, [1, 2]), levels_of_budgets(turned.contiguous(), [1, 2]))
    assert torch.equal(values, before)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
def test_ascending_sorts_rows(shape, kind):
    values = values_of(kind, shape)
    assert torch.equal(ascending(values), values.sort(-1).values)


@pytest.mark.parametrize("function", [levels_of_thresholds, levels_at_least, levels_of_budgets])
def test_as_many_bounds_as_fit_a_byte(function):
    values = torch.randn(2, 300, generator=torch.Generator().manual_seed(0))
    bounds = [1] * MAX_LEVELS
    assert set(function(values, bounds).unique().tolist()) == {0, MAX_LEVELS}
    for count in (0, MAX_LEVELS + 1):
        with pytest.raises(ValueError, match=f"{count} values of one setting; allowed: 1 to 255"):
            function(values, [1] * count)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("function", "bounds"),
    [
        (levels_of_thresholds, [-1.0, 0.0, 0.5]),
        (levels_of_thresholds, [[0.0, 0.5, 1.0]]),
        (levels_at_least, [0.5, 0.0, -1.0]),
        (levels_of_budgets, [0, 1, 7, 1000]),
    ],
    ids=["thresholds", "per-head", "at-least", "budgets"],
)
def test_a_gpu_gives_the_same_levels(function, bounds, kind):
    values = values_of(kind, (3, 40, 70))
    assert torch.equal(function(values.cuda(), bounds).cpu(), function(values, bounds))
