"""The colour, marker and line of each predictor in all figures, and the group of predictors that it is drawn with."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from sparse_attention.predictors.registry import GROUPS, discover

OTHERS = "Other predictors"
"""Title of the panel of predictors whose class names no group."""

BOUND_COLOUR = "#747982"
BLUE, SKY, VERMILION, ORANGE, GREEN = "#0072B2", "#56B4E9", "#D55E00", "#E69F00", "#009E73"
PINK, BLACK, WINE, OLIVE = "#CC79A7", "#333333", "#882255", "#999933"
PALETTE = (BLUE, VERMILION, GREEN, ORANGE, PINK, SKY, WINE, OLIVE, BLACK)
DASHED, DOTTED = (0, (4, 1.5)), (0, (1, 1.2))
LINES: tuple[Any, ...] = ("-", (0, (6, 1.2, 1, 1.2)), (0, (9, 2)), (0, (4, 1, 1, 1, 1, 1)), (0, (2, 1)), (0, (1, 1)))
"""Line styles for the projections and block sizes of one predictor; the first is the usual one."""


@dataclass(frozen=True)
class PredictorStyle:
    """Colour, marker and line of one predictor."""

    colour: str
    marker: str
    line: Any = "-"

    @property
    def filled(self) -> bool:
        """Whether the marker has an area that can be filled, unlike a marker of strokes."""
        return self.marker not in ("1", "2", "3", "4", "+", "x")

    def marker_arguments(self, size: float, hollow: bool = False) -> dict[str, Any]:
        """Return arguments of `Axes.plot` for the colour and a marker of `size` points, hollow or with a white edge."""
        edge: dict[str, Any] = {"markeredgecolor": "white", "markeredgewidth": 0.1 * size} if self.filled else {}
        if hollow:
            edge = {"markerfacecolor": "white", "markeredgewidth": 0.2 * size}
        return {"color": self.colour, "marker": self.marker, "markersize": size, **edge}


STYLES = {
    "window": PredictorStyle(BLACK, "P", DASHED),
    "strided": PredictorStyle(ORANGE, "d", DASHED),
    "bigbird": PredictorStyle(PINK, "X", DASHED),
    "longformer": PredictorStyle(WINE, "p", DASHED),
    "cos": PredictorStyle(BLUE, "o"),
    "l2": PredictorStyle(SKY, "s"),
    "euclidean": PredictorStyle(GREEN, "<"),
    "min": PredictorStyle(ORANGE, ">"),
    "min_norm": PredictorStyle(VERMILION, "d"),
    "direction": PredictorStyle(PINK, "h"),
    "minkowski": PredictorStyle(WINE, "*"),
    "entmax": PredictorStyle(BLACK, "p"),
    "calibrated": PredictorStyle(OLIVE, "X"),
    "fixed": PredictorStyle(VERMILION, "^"),
    "dynamic": PredictorStyle(ORANGE, "v"),
    "kmeans": PredictorStyle(GREEN, "D"),
    "reformer": PredictorStyle(BLUE, "p"),
    "routing": PredictorStyle(PINK, "s"),
    "routing_trained": PredictorStyle(WINE, "<"),
    "routing_kmeans": PredictorStyle(OLIVE, ">"),
    "simhash": PredictorStyle(BLACK, "o"),
    "pca": PredictorStyle(BLUE, "D"),
    "sparq": PredictorStyle(ORANGE, "s"),
    "quest": PredictorStyle(GREEN, "^"),
    "gaussian_pages": PredictorStyle(VERMILION, "o"),
    "xattention": PredictorStyle(PINK, "v"),
    "hash_attention": PredictorStyle(BLUE, "h"),
    "gate": PredictorStyle(VERMILION, "s"),
    "indexer": PredictorStyle(GREEN, "o"),
}
"""Colours are unique within a group; pairs of colour and marker are unique overall. Patterns have dashed lines."""
BOUND_STYLE = PredictorStyle(BOUND_COLOUR, "", DOTTED)
SPARE_COLOURS = ("#332288", "#99AA55", "#CC6666", "#55BB99", "#993388", "#DDCC77", "#117733", "#661100", "#6699CC")
SPARE_MARKERS = ("h", "<", ">", "*", "d", "8", "H", "1", "2", "3", "4")
CATEGORY_COLOURS = (BLUE, ORANGE, GREEN, PINK, SKY, VERMILION, "#F0E442", OLIVE, WINE)
"""Colours for categories, such as the cells of a map, in the order of use."""


def styles_of(predictors: Iterable[str]) -> dict[str, PredictorStyle]:
    """Return the style of each predictor; predictors that `STYLES` lacks get unused styles in alphabetical order."""
    names = list(dict.fromkeys(predictors))
    taken = {(own_style.colour, own_style.marker) for own_style in STYLES.values()}
    free = (PredictorStyle(colour, marker) for marker, colour in _pairs() if (colour, marker) not in taken)
    own = STYLES | {name: BOUND_STYLE for name in names if bound_of(name)}
    extra = {name: next(free) for name in sorted(set(names) - set(own))}
    return {name: own.get(name) or extra[name] for name in names}


def distinct_styles(predictors: Iterable[str]) -> dict[str, PredictorStyle]:
    """Return styles with different colours, for a panel that holds several groups.

    Of predictors with the same colour the first one keeps it. With more predictors than colours, colours repeat.
    """
    own = styles_of(predictors)
    order = sorted(own, key=lambda name: (list(STYLES).index(name) if name in STYLES else len(STYLES), name))
    taken: dict[str, str] = {}
    for name in order:
        if own[name].marker:
            taken.setdefault(own[name].colour, name)
    free = iter([colour for colour in (*PALETTE, *SPARE_COLOURS) if colour not in taken])
    for name in order:
        if own[name].marker and taken[own[name].colour] != name:
            own[name] = replace(own[name], colour=next(free, own[name].colour))
    return own


def _pairs() -> Iterator[tuple[str, str]]:
    """Yield all pairs of marker and colour; successive pairs differ in both."""
    steps = range(len(SPARE_COLOURS))
    for shift in itertools.count():
        yield from ((SPARE_MARKERS[(step + shift) % len(SPARE_MARKERS)], SPARE_COLOURS[step]) for step in steps)


def group_of(predictor: object) -> str:
    """Return the name of the group that a predictor is drawn with."""
    info = discover().get(str(predictor))
    return (info.group if info else "") or OTHERS


def bound_of(predictor: object) -> str:
    """Return "upper" or "lower" for a bound, and "" for every other predictor."""
    info = discover().get(str(predictor))
    return info.bound if info else ""


def groups(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Split rows by the group of their `predictor`, in the order of `GROUPS`; groups without rows are left out."""
    names = rows["predictor"].map(group_of)
    return {group: rows[names == group] for group in (*GROUPS, OTHERS) if (names == group).any()}


def is_bound(rows: pd.DataFrame) -> pd.Series:
    """Return which rows belong to a bound, bool ``(rows,)``; without a column `bound` the registry decides."""
    if "bound" in rows:
        return rows["bound"].notna()
    return rows["predictor"].map(bound_of).astype(bool)
