"""Lay out a graph without cycles in rows: every arrow leads down, and few arrows cross.

The steps are those of Sugiyama, Tagawa and Toda (1981): the rows, then the points where long arrows pass through rows
between, then the order within each row, then the places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate, pairwise

Arrow = tuple[str, str]
Point = tuple[float, float]
SWEEPS = 50
"""How often the order and the places are improved, downwards and upwards in turn."""
LONG = 2.0
"""Weight of a point within a long arrow against that of a name, where both want the same place."""


def without_implied(arrows: Iterable[Arrow]) -> list[Arrow]:
    """Return the arrows that do not follow from others: A to C follows from A to B and B to C."""
    after: dict[str, set[str]] = {}
    for start, end in arrows:
        after.setdefault(start, set()).add(end)
    reached: dict[str, set[str]] = {}

    def reach(name: str) -> set[str]:
        if name not in reached:
            ends = after.get(name, set())
            reached[name] = ends.union(*(reach(end) for end in ends))
        return reached[name]

    return sorted(
        (start, end) for start, ends in after.items() for end in ends if not any(end in reach(other) for other in ends)
    )


def rows_of(arrows: Sequence[Arrow]) -> dict[str, int]:
    """Return the row of each name: below all that lead to it, and further down where that makes arrows shorter."""
    before, after = _neighbours(arrows)
    rows: dict[str, int] = {}

    def place(name: str) -> int:
        if name not in rows:
            rows[name] = max((place(start) + 1 for start in before[name]), default=0)
        return rows[name]

    for name in before:
        place(name)
    for name in sorted(rows, key=lambda name: (-rows[name], name)):
        if len(after[name]) > len(before[name]):
            rows[name] = min(rows[end] for end in after[name]) - 1
    return rows


def _neighbours(arrows: Sequence[Arrow]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return what leads to each name, and where each name leads."""
    before: dict[str, list[str]] = {name: [] for arrow in sorted(arrows) for name in arrow}
    after: dict[str, list[str]] = {name: [] for name in before}
    for start, end in arrows:
        before[end].append(start)
        after[start].append(end)
    return before, after


def layout(arrows: Sequence[Arrow], width: float, gap: float) -> tuple[dict[str, Point], dict[Arrow, list[Point]]]:
    """Return the place of each name, and the points through which each arrow goes; rows are 1 apart, downwards.

    Parameters
    ----------
    arrows : sequence of (str, str)
        The graph.
    width : float
        The distance between two names in a row.
    gap : float
        The distance of an arrow that passes through a row from its neighbours there.
    """
    rows = rows_of(arrows)
    steps, ways = [], {}
    for start, end in arrows:
        between = [f"{start}>{end}>{row}" for row in range(rows[start] + 1, rows[end])]
        rows |= {name: rows[start] + 1 + number for number, name in enumerate(between)}
        ways[start, end] = [start, *between, end]
        steps += pairwise(ways[start, end])
    order = _order(rows, steps)
    places = _places(order, steps, lambda name: gap if ">" in name else width)
    points = {name: (places[name], float(row)) for name, row in rows.items()}
    names = {name: point for name, point in points.items() if ">" not in name}
    return names, {arrow: [points[name] for name in way] for arrow, way in ways.items()}


def _order(rows: Mapping[str, int], steps: Sequence[Arrow]) -> list[list[str]]:
    """Return the names of each row from left to right, sorted by the mean place of their neighbours above or below."""
    before, after = _neighbours(steps)
    order = [sorted(name for name in rows if rows[name] == row) for row in range(max(rows.values()) + 1)]
    best, fewest = order, crossings(order, steps)
    for sweep in range(SWEEPS):
        neighbours, numbers = (
            (before, range(1, len(order))) if sweep % 2 == 0 else (after, range(len(order) - 2, -1, -1))
        )
        order = list(order)
        place = {name: float(number) for row in order for number, name in enumerate(row)}
        for number in numbers:
            mean = {name: _mean([place[other] for other in neighbours[name]], place[name]) for name in order[number]}
            order[number] = sorted(order[number], key=lambda name: (mean[name], place[name]))
            place |= {name: float(at) for at, name in enumerate(order[number])}
        if (found := crossings(order, steps)) < fewest:
            best, fewest = order, found
    return best


def crossings(order: Sequence[Sequence[str]], steps: Sequence[Arrow]) -> int:
    """Return how many pairs of arrows cross between neighbouring rows."""
    place = {name: (row, number) for row, names in enumerate(order) for number, name in enumerate(names)}
    ends: dict[int, list[tuple[int, int]]] = {}
    for start, end in steps:
        ends.setdefault(place[start][0], []).append((place[start][1], place[end][1]))
    pairs = [(one, other) for own in ends.values() for one in own for other in own]
    return sum(one[0] < other[0] and one[1] > other[1] for one, other in pairs)


def _places(order: Sequence[Sequence[str]], steps: Sequence[Arrow], space: Callable[[str], float]) -> dict[str, float]:
    """Return how far to the right each name lies: near its neighbours, in the order of its row, with room around it."""
    before, after = _neighbours(steps)
    offsets = []
    for names in order:
        distances = [(space(one) + space(other)) / 2 for one, other in pairwise(names)]
        offsets.append([at - sum(distances) / 2 for at in accumulate(distances, initial=0.0)])
    places = {name: at for names, own in zip(order, offsets, strict=True) for name, at in zip(names, own, strict=True)}
    rows = list(zip(order, offsets, strict=True))
    for _ in range(SWEEPS):
        for names, own in [*rows, *reversed(rows)]:
            # long arrows want to be straight
            weights = [LONG if ">" in name else 1.0 for name in names]
            wanted = [_mean([places[other] for other in before[name] + after[name]], places[name]) for name in names]
            risen = _rising([want - offset for want, offset in zip(wanted, own, strict=True)], weights)
            places |= {name: at + offset for name, at, offset in zip(names, risen, own, strict=True)}
    return places


def _rising(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Return the values that never fall and are nearest to `values`: neighbours in the wrong order get their mean."""
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values, weights, strict=True):
        pools.append((value, weight, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (one, heavy, many), (other, light, few) = pools[-2:]
            pools[-2:] = [((one * heavy + other * light) / (heavy + light), heavy + light, many + few)]
    return [value for value, _, number in pools for _ in range(number)]


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
