"""Fronts of many sets of points at once: attainable values at a sparsity, areas and hypervolumes.

A set is one row of two arrays ``(sets, points)``: sparsities and values of a metric, both better when higher.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

EVERYTHING, NOTHING = (0.0, 1.0), (1.0, 0.0)
"""Sparsity and value of keeping all pairs and of keeping none, which need no predictor."""


class Hulls(NamedTuple):
    """Upper concave hulls of the Pareto fronts of sets of points.

    Attributes
    ----------
    x, y : numpy.ndarray
        Sparsities and values of the corners, float64 ``(sets, points)``, from the highest sparsity to the lowest; the
        last corner is repeated. NaN for a set without points.
    lowest : numpy.ndarray
        Lowest sparsity of all points of each set, float64 ``(sets,)``.
    """

    x: np.ndarray
    y: np.ndarray
    lowest: np.ndarray

    def attainable(self, at: np.ndarray) -> np.ndarray:
        """Return the highest attainable values at the sparsities `at`.

        Between two points this is the straight line: the average over queries when one point is used for some of them
        and the other point for the rest. Below the sparsity of the last corner its value holds. So more points never
        lower the result.

        Parameters
        ----------
        at : numpy.ndarray
            Sparsities, ``(n,)``.

        Returns
        -------
        numpy.ndarray
            float64 ``(sets, n)``; NaN outside the range of a set's points.
        """
        at = np.asarray(at, dtype=float)
        values = np.broadcast_to(self.y[:, :1], (len(self.x), len(at))).copy()
        for right, left in zip(range(self.x.shape[1] - 1), range(1, self.x.shape[1]), strict=True):
            below = at < self.x[:, right, None]
            line = _on_line(at, *(axis[:, corner, None] for corner in (left, right) for axis in (self.x, self.y)))
            values = np.where(below, line, values)
        return np.where((at >= self.lowest[:, None]) & (at <= self.x[:, :1]), values, np.nan)

    def area(self, start: float) -> np.ndarray:
        """Return the mean of the attainable values over the sparsities from `start` to 1, float64 ``(sets,)``.

        Above the highest sparsity of a hull the value counts as 0; with the corner `NOTHING` in the hull there is a
        line.
        """
        right, left = self.x[:, :-1].clip(start), self.x[:, 1:].clip(start)
        corners = self.x[:, 1:], self.y[:, 1:], self.x[:, :-1], self.y[:, :-1]
        middle = _on_line((right + left) / 2, *corners)
        below_last = (self.x[:, -1] - start).clip(0) * self.y[:, -1]
        return (((right - left) * middle).sum(1) + below_last) / (1 - start)


def _on_line(at: np.ndarray, x1: np.ndarray, y1: np.ndarray, x2: np.ndarray, y2: np.ndarray) -> np.ndarray:
    """Return the values at `at` of the lines through (x1, y1) and (x2, y2); `y1` where x1 = x2, or left of x1."""
    run = x2 - x1
    share = np.divide((at - x1).clip(0), run, out=np.zeros(np.broadcast_shapes(at.shape, run.shape)), where=run > 0)
    return y1 + share * (y2 - y1)


def hulls(sparsity: np.ndarray, value: np.ndarray, with_ends: bool = False) -> Hulls:
    """Compute the hulls of sets of points; points with a missing coordinate are ignored.

    Parameters
    ----------
    sparsity, value : numpy.ndarray
        ``(sets, points)``.
    with_ends : bool
        Add `EVERYTHING` and `NOTHING` to every set, so that every hull covers all sparsities.
    """
    x, y = _ordered(sparsity, value)
    empty = np.isnan(x).all(axis=1)
    if with_ends:
        ends = (np.tile(np.array(pair), (len(x), 1)) for pair in zip(EVERYTHING, NOTHING, strict=True))
        x, y = _ordered(*(np.concatenate(pair, axis=1) for pair in zip((x, y), ends, strict=True)))
    sets, rows = len(x), np.arange(len(x))
    corner_x, corner_y = np.zeros((sets, x.shape[1] + 1)), np.zeros((sets, x.shape[1] + 1))
    size, best = np.zeros(sets, dtype=np.int64), np.full(sets, -np.inf)
    for px, py in zip(x.T, y.T, strict=True):
        new = py > best
        best = np.where(new, py, best)
        while True:
            before, last = (rows, size - 2), (rows, size - 1)
            # the last corner lies on or below the line from the new point to the corner before
            rise = (corner_y[last] - corner_y[before]) * (px - corner_x[before])
            below = rise >= (py - corner_y[before]) * (corner_x[last] - corner_x[before])
            drop = new & (size > 1) & below
            if not drop.any():
                break
            size -= drop
        corner_x[rows[new], size[new]], corner_y[rows[new], size[new]] = px[new], py[new]
        size += new
    # repeat the last corner up to the end of the row
    corners_used = np.minimum(np.arange(corner_x.shape[1]), np.maximum(size - 1, 0)[:, None])
    corner_x, corner_y = (np.take_along_axis(corners, corners_used, axis=1) for corners in (corner_x, corner_y))
    corner_x[empty], corner_y[empty] = np.nan, np.nan
    return Hulls(corner_x, corner_y, np.nanmin(np.where(empty[:, None], np.inf, x), axis=1, initial=np.inf))


def hypervolumes(sparsity: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Return the area that the points of each set dominate, float64 ``(sets,)``.

    It is the area of the union of the rectangles between (0, 0) and a point. NaN for a set without points.

    Parameters
    ----------
    sparsity, value : numpy.ndarray
        ``(sets, points)``.
    """
    x, y = _ordered(sparsity, value)
    best = np.maximum.accumulate(np.nan_to_num(y), axis=1)
    widths = -np.diff(np.nan_to_num(x), axis=1, append=0)
    return np.where(np.isnan(x).all(axis=1), np.nan, (widths * best).sum(1))


def _ordered(sparsity: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Order each set by falling sparsity, then falling value; points with a missing coordinate come last, as NaN."""
    x, y = np.array(sparsity, dtype=float), np.array(value, dtype=float)
    x[np.isnan(y)], y[np.isnan(x)] = np.nan, np.nan
    order = np.lexsort((-y, -x), axis=1)
    return np.take_along_axis(x, order, axis=1), np.take_along_axis(y, order, axis=1)
