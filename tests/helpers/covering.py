"""Parametrise tests with chosen combinations of parameters instead of all combinations."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import combinations, product
from typing import Any

import pytest

from readable_ids import readable


def all_pairs(
    *,
    also: Iterable[Mapping[str, Any]] = (),
    allowed: Callable[..., bool] = lambda **_: True,
    indirect: Collection[str] = (),
    **axes: Iterable[Any],
) -> pytest.MarkDecorator:
    """Parametrise a test with few combinations that contain every pair of values of any two axes.

    Parameters
    ----------
    also
        Combinations that must be included, by axis and id, such as extremes of three axes or more.
    allowed
        Returns whether a combination of values exists.
    indirect
        The axes that are fixtures.
    **axes
        The values of each parameter; a mapping gives their ids.
    """
    named = [_named(name, values) for name, values in axes.items()]
    rows = [row for row in product(*named) if allowed(**_values(axes, row))]
    fixed = [next(row for row in rows if _matches(axes, row, wanted)) for wanted in also]
    chosen = [pytest.param(*(value for _, value in row), id="-".join(name for name, _ in row))
              for row in _covering(rows, fixed)]  # fmt: skip
    return pytest.mark.parametrize(tuple(axes), chosen, indirect=list(indirect))


def _named(axis: str, values: Iterable[Any]) -> list[tuple[str, Any]]:
    if isinstance(values, Mapping):
        return list(values.items())
    return [(readable(value, axis), value) for value in values]


def _values(axes: Iterable[str], row: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    return {axis: value for axis, (_, value) in zip(axes, row, strict=True)}


def _matches(axes: Iterable[str], row: tuple[tuple[str, Any], ...], wanted: Mapping[str, Any]) -> bool:
    given = {axis: name for axis, (name, _) in zip(axes, row, strict=True)}
    return all(given[axis] == name for axis, name in wanted.items())


def _covering(rows: list[Any], chosen: list[Any]) -> list[Any]:
    """Add rows to the chosen ones, each time the first row with the most pairs of values that no row contains yet."""
    missing = {row: _pairs(row) for row in map(_names, rows)}
    met = {pair for row in chosen for pair in _pairs(_names(row))}
    found = list(chosen)
    while True:
        for names in missing:
            missing[names] = missing[names] - met
        best = max(rows, key=lambda row: len(missing[_names(row)]))
        if not missing[_names(best)]:
            return found
        found.append(best)
        met |= missing[_names(best)]


def _names(row: tuple[tuple[str, Any], ...]) -> tuple[str, ...]:
    return tuple(name for name, _ in row)


def _pairs(names: tuple[str, ...]) -> set[Any]:
    return set(combinations(enumerate(names), min(2, len(names))))
