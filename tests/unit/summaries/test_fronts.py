"""Fronts, hulls, areas and hypervolumes against plain definitions."""

import itertools

import numpy as np
import pytest

from sparse_attention.summaries import pareto
from sparse_attention.summaries.fronts import hulls, hypervolumes


def dominated(points, index):
    x, y = points[index]
    return any(a >= x and b >= y and (a > x or b > y) for a, b in points)


@pytest.mark.parametrize("decimals", [1, 6], ids=["many ties", "no ties"])
@pytest.mark.parametrize("count", [0, 1, 2, 40])
def test_the_front_holds_the_points_that_no_point_dominates(count, decimals):
    for seed in range(20):
        points = np.random.default_rng(seed).random((count, 2)).round(decimals)
        expected = [not dominated(points, index) for index in range(count)]
        assert pareto.front(points[:, 0], points[:, 1]).tolist() == expected


def test_points_with_missing_values_are_never_on_the_front():
    assert pareto.front(np.array([0.9, np.nan, 0.5]), np.array([np.nan, 1.0, 0.2])).tolist() == [False, False, True]


def best_mixture(x, y, at):
    """The best that one point, or a mixture of two, reaches at a sparsity of at least `at`."""
    values = [b for a, b in zip(x, y, strict=True) if a >= at]
    for i, j in itertools.permutations(range(len(x)), 2):
        if x[i] < at < x[j]:
            values.append(y[i] + (at - x[i]) / (x[j] - x[i]) * (y[j] - y[i]))
    return max(values)


@pytest.mark.parametrize("count", [1, 2, 3, 12])
def test_attainable_is_the_best_mixture_of_two_points(count):
    for seed in range(20):
        x, y = np.random.default_rng(seed).random((2, count)).round(2)
        for at in np.linspace(x.min(), x.max(), 7):
            assert pareto.attainable(x, y, at) == pytest.approx(best_mixture(x, y, at))


def test_values_outside_the_range_of_the_points_are_missing():
    x, y = np.array([0.8, 0.9]), np.array([0.5, 0.4])
    assert np.isnan(pareto.attainable(x, y, 0.79)) and np.isnan(pareto.attainable(x, y, 0.91))
    assert np.isnan(pareto.attainable(np.array([]), np.array([]), 0.5))
    assert pareto.attainable(x, np.array([0.4, 0.4]), 0.85) == 0.4


def sets_of(count, points, decimals=2, seed=0):
    x, y = np.random.default_rng([seed, count, points]).random((2, count, points)).round(decimals)
    return x, y


@pytest.mark.parametrize("points", [1, 2, 5, 12])
@pytest.mark.parametrize("with_ends", [False, True], ids=["points alone", "with the ends"])
def test_many_sets_give_the_same_as_each_alone(points, with_ends):
    x, y = sets_of(30, points, decimals=1)
    levels = np.linspace(0, 1, 11)
    found = hulls(x, y, with_ends).attainable(levels)
    for place, level in itertools.product(range(len(x)), range(len(levels))):
        own_x, own_y = (
            np.append(own, ends) for own, ends in ((x[place], [0, 1] * with_ends), (y[place], [1, 0] * with_ends))
        )
        at = levels[level]
        inside = own_x.min() <= at <= own_x.max()
        assert (
            np.isnan(found[place, level])
            if not inside
            else (found[place, level] == pytest.approx(best_mixture(own_x, own_y, at)))
        )


@pytest.mark.parametrize("start", [0.0, 0.5, 0.8])
@pytest.mark.parametrize("points", [1, 2, 5, 12])
def test_area_is_the_integral_of_the_best_mixtures(points, start):
    x, y = sets_of(20, points)
    found = hulls(x, y, with_ends=True).area(start)
    for place in range(len(x)):
        own_x, own_y = np.append(x[place], [0, 1]), np.append(y[place], [1, 0])
        # linear between neighbouring points, so the trapezium rule over them is exact
        levels = np.unique(np.append(own_x[own_x >= start], [start, 1]))
        heights = [best_mixture(own_x, own_y, at) for at in levels]
        assert found[place] == pytest.approx(np.trapezoid(heights, levels) / (1 - start))


def test_chance_is_the_least_area_and_perfection_the_largest():
    useless, perfect = (
        hulls(np.array([[0.9]]), np.array([[0.01]]), True),
        hulls(np.array([[1.0]]), np.array([[1.0]]), True),
    )
    assert useless.area(0.8) == pytest.approx(0.1) and perfect.area(0.8) == pytest.approx(1)
    assert hulls(np.array([[0.9]]), np.array([[1.0]])).area(0.8) == pytest.approx(0.5)


@pytest.mark.parametrize("decimals", [1, 6], ids=["many ties", "no ties"])
@pytest.mark.parametrize("points", [1, 2, 15])
def test_hypervolume_is_that_of_all_cells_below_a_point(points, decimals):
    x, y = sets_of(20, points, decimals)
    for place, found in enumerate(hypervolumes(x, y)):
        columns, rows = (np.unique(np.append(values, 0)) for values in (x[place], y[place]))
        volume = 0.0
        for (left, right), (low, high) in itertools.product(itertools.pairwise(columns), itertools.pairwise(rows)):
            covered = any(a >= right and b >= high for a, b in zip(x[place], y[place], strict=True))
            volume += covered * (right - left) * (high - low)
        assert found == pytest.approx(volume)


def test_points_with_missing_values_are_ignored():
    x, y = sets_of(10, 6)
    gaps = np.random.default_rng(0).random((2, 10, 6)) < 0.3
    with_gaps = np.where(gaps[0], np.nan, x), np.where(gaps[1], np.nan, y)
    levels = np.array([0.2, 0.5, 0.8])
    for place in range(10):
        known = ~gaps[:, place].any(0)
        alone = x[place][known][None], y[place][known][None]
        for with_ends in (False, True):
            found = hulls(*with_gaps, with_ends)
            np.testing.assert_allclose(found.attainable(levels)[place], hulls(*alone, with_ends).attainable(levels)[0])
            np.testing.assert_allclose(found.area(0.5)[place], hulls(*alone, with_ends).area(0.5)[0])
        np.testing.assert_allclose(hypervolumes(*with_gaps)[place], hypervolumes(*alone)[0])


@pytest.mark.parametrize("width", [0, 3], ids=["no points", "no known points"])
def test_a_set_without_points_has_no_values(width):
    nothing = np.full((2, 1, width), np.nan)
    for with_ends in (False, True):
        found = hulls(*nothing, with_ends)
        assert np.isnan(found.attainable(np.array([0.5]))).all() and np.isnan(found.area(0.8)).all()
    assert np.isnan(hypervolumes(*nothing)).all()
