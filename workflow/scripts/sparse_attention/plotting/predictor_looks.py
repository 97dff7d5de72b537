"""Which predictors are drawn together, and how each one looks wherever it appears."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from sparse_attention.predictors.registry import GROUPS, discover

OTHERS = "Other predictors"
"""The panel of predictors that name no group."""

BOUND = "#8a8f98"
BLUE, SKY, VERMILION, ORANGE, GREEN = "#0072B2", "#56B4E9", "#D55E00", "#E69F00", "#009E73"
PINK, BLACK, WINE, OLIVE = "#CC79A7", "#333333", "#882255", "#999933"
PALETTE = (BLUE, VERMILION, GREEN, ORANGE, PINK, SKY, WINE, OLIVE, BLACK)
DASHED, DOTTED = (0, (4, 1.5)), (0, (1, 1.2))
LINES: tuple[Any, ...] = ("-", (0, (6, 1.2, 1, 1.2)), (0, (9, 2)), (0, (4, 1, 1, 1, 1, 1)), (0, (2, 1)), (0, (1, 1)))
"""Lines of the projections and block sizes of one predictor, the first as usual."""


@dataclass(frozen=True)
class Look:
    """How one predictor is drawn."""

    colour: str
    marker: str
    line: Any = "-"

    @property
    def filled(self) -> bool:
        """Whether the marker has a face, so that a white edge sets it off."""
        return self.marker not in ("1", "2", "3", "4", "+", "x")

    def drawn(self, size: float, hollow: bool = False) -> dict[str, Any]:
        """Return matplotlib's words for the colour and a marker of `size` points, hollow or with a white edge."""
        edge: dict[str, Any] = {"markeredgecolor": "white", "markeredgewidth": 0.1 * size} if self.filled else {}
        if hollow:
            edge = {"markerfacecolor": "white", "markeredgewidth": 0.2 * size}
        return {"color": self.colour, "marker": self.marker, "markersize": size, **edge}


LOOKS = {
    "window": Look(BLACK, "P", DASHED),
    "strided": Look(ORANGE, "d", DASHED),
    "bigbird": Look(PINK, "X", DASHED),
    "longformer": Look(WINE, "p", DASHED),
    "cos": Look(BLUE, "o"),
    "l2": Look(SKY, "s"),
    "euclidean": Look(GREEN, "<"),
    "min": Look(ORANGE, ">"),
    "min_norm": Look(VERMILION, "d"),
    "direction": Look(PINK, "h"),
    "minkowski": Look(WINE, "*"),
    "entmax": Look(BLACK, "p"),
    "calibrated": Look(OLIVE, "X"),
    "fixed": Look(VERMILION, "^"),
    "dynamic": Look(ORANGE, "v"),
    "kmeans": Look(GREEN, "D"),
    "reformer": Look(BLUE, "p"),
    "routing": Look(PINK, "s"),
    "routing_trained": Look(WINE, "<"),
    "routing_kmeans": Look(OLIVE, ">"),
    "simhash": Look(BLACK, "o"),
    "pca": Look(BLUE, "D"),
    "sparq": Look(ORANGE, "s"),
    "quest": Look(GREEN, "^"),
    "gaussian_pages": Look(VERMILION, "o"),
    "xattention": Look(PINK, "v"),
    "hash_attention": Look(BLUE, "h"),
    "gate": Look(VERMILION, "s"),
    "indexer": Look(GREEN, "o"),
}
"""Colours differ within a group, colour and marker among all; dashes mark what ignores content."""
OF_BOUNDS = Look(BOUND, "", DOTTED)
MORE_COLOURS = ("#332288", "#999933", "#CC6677", "#44AA99", "#AA4499", "#DDCC77", "#117733", "#661100", "#6699CC")
MORE_MARKERS = ("h", "<", ">", "*", "d", "8", "H", "1", "2", "3", "4")
CATEGORIES = (BLUE, ORANGE, GREEN, PINK, SKY, VERMILION, "#F0E442", OLIVE, WINE)
"""Areas of one colour each, in the order of use."""


def looks(predictors: Iterable[str]) -> dict[str, Look]:
    """Return the look of each predictor; those without one of their own get a free one in alphabetical order."""
    names = list(dict.fromkeys(predictors))
    taken = {(look.colour, look.marker) for look in LOOKS.values()}
    free = (Look(colour, marker) for marker, colour in _pairs() if (colour, marker) not in taken)
    own = LOOKS | {name: OF_BOUNDS for name in names if bound_of(name)}
    extra = {name: next(free) for name in sorted(set(names) - set(own))}
    return {name: own.get(name) or extra[name] for name in names}


def distinct(predictors: Iterable[str]) -> dict[str, Look]:
    """Return looks that differ in colour, for a panel of several groups: the first predictor of a colour keeps it.

    With more predictors than colours these repeat.
    """
    own = looks(predictors)
    order = sorted(own, key=lambda name: (list(LOOKS).index(name) if name in LOOKS else len(LOOKS), name))
    taken: dict[str, str] = {}
    for name in order:
        if own[name].marker:
            taken.setdefault(own[name].colour, name)
    free = iter([colour for colour in (*PALETTE, *MORE_COLOURS) if colour not in taken])
    for name in order:
        if own[name].marker and taken[own[name].colour] != name:
            own[name] = replace(own[name], colour=next(free, own[name].colour))
    return own


def _pairs() -> Iterator[tuple[str, str]]:
    """Yield pairs of marker and colour that differ in both from their neighbours, then all the others."""
    steps = range(len(MORE_COLOURS))
    for shift in itertools.count():
        yield from ((MORE_MARKERS[(step + shift) % len(MORE_MARKERS)], MORE_COLOURS[step]) for step in steps)


def group_of(predictor: object) -> str:
    """Return the group that a predictor is drawn with."""
    info = discover().get(str(predictor))
    return (info.group if info else "") or OTHERS


def bound_of(predictor: object) -> str:
    """Return "upper" or "lower" for a bound, and an empty text for other predictors."""
    info = discover().get(str(predictor))
    return info.bound if info else ""


def groups(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Split rows with a `predictor` into the groups that have any, in the order of `GROUPS`."""
    names = rows["predictor"].map(group_of)
    return {group: rows[names == group] for group in (*GROUPS, OTHERS) if (names == group).any()}


def is_bound(rows: pd.DataFrame) -> pd.Series:
    """Tell which rows are of bounds, in tables with and without a column for it."""
    if "bound" in rows:
        return rows["bound"].notna()
    return rows["predictor"].map(bound_of).astype(bool)
