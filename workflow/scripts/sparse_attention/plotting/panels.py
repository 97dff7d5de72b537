"""One panel of a Pareto figure: curves of predictors between their bounds, its legend, and the key of all panels."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator

from sparse_attention.files.segments import block_size_of
from sparse_attention.plotting import style
from sparse_attention.plotting.pareto_points import COMPUTATION, Comparison, best_first, front_of
from sparse_attention.plotting.predictor_looks import BOUND, DOTTED, LINES, Look, is_bound
from sparse_attention.summaries.wording import spell

TICKS = (-7, -3, -1, 0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9998, 0.9999)
FEW_TICKS = (-7, -1, 0, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999, 0.9999)
ENVELOPE: dict[str, Any] = {"color": "#d6dae1", "linewidth": 2.6, "solid_capstyle": "round"}
HALO = [patheffects.withStroke(linewidth=2.2, foreground="white")]
STEPS = 24
"""Pieces of a line between two points: enough to look smooth."""
SPARSEST = 20
"""The axis ends where a support has this many times fewer pairs than the gold one: recall is next to nothing there."""
WIDEST = 8.0
"""It begins where predicting takes this many times what full attention takes."""


def draw(axes: Axes, shared: Comparison, own: pd.DataFrame, everything: pd.DataFrame, small: bool = False) -> None:
    """Draw one panel.

    Parameters
    ----------
    axes : Axes
        Where.
    shared : Comparison
        What all panels share.
    own : pandas.DataFrame
        The points of the panel's predictors.
    everything : pandas.DataFrame
        The points of all panels in the same setting: bounds, and others whose best is a faint line.
    small : bool
        Whether the panel is one of many.
    """
    bounds = is_bound(everything)
    others = everything[~bounds & ~everything["predictor"].isin(own["predictor"])]
    if len(others):
        best = front_of(others, shared)
        axes.plot(*between(shared.kept(best), best[shared.metric]), zorder=1.2, **ENVELOPE)
    by_token = everything["projection"].map(block_size_of) == 1
    for _, series in everything[bounds & by_token].groupby("predictor", sort=False):
        _bound(axes, series.sort_values("sparsity"), shared, direct_label=not small)
    for names, series in own.groupby(["predictor", "variant"], sort=False):
        _curve(axes, series, shared, shared.looks[str(names[0])], shared.variants.index(str(names[1])), small)
    _verticals(axes, everything, shared, small)
    _axes(axes, shared, small)


def between(kept: np.ndarray, *values: Any) -> list[np.ndarray]:
    """Fill the gaps between points with what using the one for some queries and the other for the rest gives.

    That is a straight line over the pairs that are kept, which a logarithmic axis bends.

    Parameters
    ----------
    kept : numpy.ndarray
        Of each point, shape `(points,)`, above 0.
    values : array-like
        One or more values of each point, shape `(points,)`.

    Returns
    -------
    list of numpy.ndarray
        `kept` and `values`, `STEPS` times as dense.
    """
    steps = np.linspace(0, 1, STEPS, endpoint=False)
    place = np.arange(len(kept) - 1)[:, None] + steps
    x = np.append(np.exp(np.interp(place, np.arange(len(kept)), np.log(kept))).ravel(), kept[-1:])
    order = np.argsort(kept, kind="stable")
    return [x, *(np.interp(x, kept[order], np.asarray(value, dtype=float)[order]) for value in values)]


def _curve(axes: Axes, series: pd.DataFrame, shared: Comparison, look: Look, variant: int, small: bool) -> None:
    """Draw the front of one predictor as a line, its other points faint, and the intervals over seeds as a band."""
    own = front_of(series, shared)
    dominated = series[~series.index.isin(own.index)]
    faint = look.drawn(2.2 if small else 4)
    axes.plot(shared.kept(dominated), dominated[shared.metric], linestyle="", alpha=0.3, zorder=3, **faint)
    line, width = LINES[variant] if variant else look.line, 1.1 if small else 1.5
    drawn = look.drawn(3.4 if small else 5, hollow=variant > 0)
    kept, values = shared.kept(own), own[shared.metric]
    axes.plot(*between(kept, values), color=look.colour, linestyle=line, linewidth=width, zorder=3.5)
    axes.plot(kept, values, linestyle="", zorder=4, **drawn)
    low, high = style.limits(own, shared.metric)
    if np.isfinite(low).any():
        places, below, above = between(kept, low, high)
        axes.fill_between(places, below, above, color=look.colour, alpha=0.15, linewidth=0, zorder=2)


def _bound(axes: Axes, series: pd.DataFrame, shared: Comparison, direct_label: bool) -> None:
    """Draw a bound; its name stands outside the band between the bounds, where curves hardly come."""
    kept, values = shared.kept(series), series[shared.metric].to_numpy(dtype=float)
    axes.plot(*between(kept, values), color=BOUND, linestyle=DOTTED, linewidth=1.3, zorder=1.5)
    if not direct_label:
        return
    upper = series["bound"].iloc[0] == "upper"
    middle = int(np.abs(values - (0.8 if upper else 0.12)).argmin())
    right = upper or values[middle] < 0.06
    place: dict[str, Any] = {"xytext": (4, 2) if right else (-3, -3), "textcoords": "offset points"}
    place |= {"ha": "left", "va": "bottom"} if right else {"ha": "right", "va": "top"}
    ink: dict[str, Any] = {"color": style.MUTED, "fontsize": 7.5, "path_effects": HALO, "zorder": 6}
    axes.annotate(series["label"].iloc[0], (kept[middle], values[middle]), **place, **ink)


def _verticals(axes: Axes, rows: pd.DataFrame, shared: Comparison, small: bool) -> None:
    """Mark the gold sparsity and, where costs are drawn, what full attention costs."""
    if shared.across is COMPUTATION:
        axes.axvline(1, color=style.MUTED, linewidth=0.8, linestyle=(0, (5, 3)), zorder=1)
    gold = float(rows["gold_sparsity"].mean())
    if not 0 <= gold < 1:
        return
    axes.axvline(1 - gold, color=style.GOLD, linewidth=1, zorder=1)
    if not small:
        place: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "ha": "center", "va": "bottom"}
        axes.text(1 - gold, 1.012, f"gold support: {gold:.1%}", color=style.MUTED, fontsize=7.5, **place)


def _axes(axes: Axes, shared: Comparison, small: bool) -> None:
    """Set the axes so that all panels of a figure agree."""
    rows = shared.rows
    bounds = is_bound(rows)
    kept = np.concatenate([shared.kept(rows[bounds]), shared.kept(rows[~bounds])])
    gold = (1 - rows["gold_sparsity"][rows["gold_sparsity"] < 1]).to_numpy(dtype=float)
    right = np.append(kept, gold).min()
    right = max(right, gold.min() / SPARSEST) if len(gold) else right
    left = min(max(kept.max(), 1) * 1.25, WIDEST) if shared.across is COMPUTATION else min(kept.max() * 1.18, 1.0)
    right /= 1.3 if small else 1.55
    axes.set_xscale("log")
    axes.set_xlim(left, right)
    axes.set_ylim(-0.02, 1.02)
    levels = _apart(
        [level for level in (FEW_TICKS if small else TICKS) if right <= 1 - level <= left], left / right, small
    )
    axes.set_xticks([1 - level for level in levels] if len(levels) > 1 else np.geomspace(left, right, 5)[1:-1])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * (1 - value):.4g}%"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.tick_params(axis="x", labelsize=7 if small else 8)
    axes.grid(True)


def _apart(levels: Sequence[float], span: float, small: bool) -> list[float]:
    """Leave out the ticks whose labels would touch: those of round numbers of nines come first."""
    chosen: list[float] = []
    for level in sorted(levels, key=lambda level: (abs(math.log10(1 - level)) % 1 > 1e-9, -level)):
        gaps = [abs(math.log((1 - level) / (1 - other))) / math.log(span) for other in chosen]
        if min(gaps, default=1) >= (0.13 if small else 0.06):
            chosen.append(level)
    return chosen


def legend(beside: Axes, shared: Comparison, own: pd.DataFrame, letters: int, size: float, height: float) -> None:
    """Name the panel's curves right of it, the best first, as the eye meets them.

    Parameters
    ----------
    beside, shared, own
        As for `draw`.
    letters : int
        Letters in a line.
    size, height : float
        Of the letters at most, in points; of the room that there is, in inches.
    """
    labels = (
        own.drop_duplicates("predictor")
        .set_index("predictor")["label"]
        .map(lambda label: textwrap.fill(label, letters))
    )
    lines, spacing = sum(label.count("\n") + 1 for label in labels), 0.4
    size = min(size, 72 * height / (1.2 * lines + spacing * len(labels)))
    handles = []
    for name in best_first(own, shared.metric, shared.across.column):
        look = shared.looks[name]
        drawn = look.drawn(0.65 * size)
        handles.append(Line2D([], [], linestyle=look.line, linewidth=1.2, label=labels[name], **drawn))
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.02, 1.0), "borderaxespad": 0, "borderpad": 0}
    beside.legend(handles=handles, handlelength=2.2, handletextpad=0.5, labelspacing=spacing, fontsize=size, **place)


def key(shared: Comparison, others: bool) -> list[Line2D]:
    """Return the signs that all panels share, with their meaning."""
    rows, handles = shared.rows, []
    if len(shared.variants) > 1:
        for variant, line in zip(shared.variants, LINES, strict=False):
            name = variant if variant else "without projection"
            drawn = Look(style.MUTED, "o", line).drawn(3.4, hollow=line != LINES[0])
            handles.append(Line2D([], [], linestyle=line, linewidth=1.1, label=name, **drawn))
    bounds = rows[is_bound(rows)]
    if len(bounds):
        names = " and ".join(bounds["label"].unique()) + (", at no cost" if shared.across is COMPUTATION else "")
        handles.append(Line2D([], [], color=BOUND, linestyle=DOTTED, label=names))
    if others:
        handles.append(Line2D([], [], label="best of the other panels", **ENVELOPE))
    gold = rows.groupby("attention", sort=False)["gold_sparsity"].mean()
    told = [f"{spell(name)} {value:.1%}" if len(gold) > 1 else f"{value:.1%}" for name, value in gold.items()]
    handles.append(Line2D([], [], color=style.GOLD, linewidth=1.2, label=f"gold sparsity: {', '.join(told)}"))
    if shared.across is COMPUTATION:
        handles.append(
            Line2D([], [], color=style.MUTED, linewidth=0.8, linestyle=(0, (5, 3)), label="as costly as full attention")
        )
    return [*handles, *_dominated(shared)]


def _dominated(shared: Comparison) -> list[Line2D]:
    real = shared.rows[~is_bound(shared.rows)]
    curves = real.groupby(["attention", "window", "predictor", "variant"], sort=False)
    if all(len(front_of(series, shared)) == len(series) for _, series in curves):
        return []
    drawn: dict[str, Any] = {"marker": "o", "markersize": 4, "linestyle": "", "alpha": 0.35}
    return [Line2D([], [], color=style.MUTED, label="beaten by another of its points", **drawn)]
