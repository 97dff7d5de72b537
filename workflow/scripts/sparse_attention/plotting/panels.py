"""Draw one panel of a Pareto figure, its legend, and the legend that all panels share."""

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
from sparse_attention.plotting.predictor_styles import BOUND_COLOUR, DOTTED, LINES, PredictorStyle, is_bound
from sparse_attention.summaries.wording import spell

TICKS = (-7, -3, -1, 0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9998, 0.9999)
"""Sparsities that a large panel may label; below 0 predicting costs more than full attention."""
FEW_TICKS = (-7, -1, 0, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999, 0.9999)
"""Sparsities that a small panel may label."""
ENVELOPE: dict[str, Any] = {"color": "#d6dae1", "linewidth": 2.6, "solid_capstyle": "round"}
"""Style of the pale line that shows the best points of the other panels."""
HALO = [patheffects.withStroke(linewidth=2.2, foreground="white")]
STEPS = 24
"""Number of pieces of a line between two points, enough to look smooth."""
SPARSEST = 20
"""The x axis ends where a support has this many times fewer pairs than the gold support; recall is near 0 there."""
WIDEST = 8.0
"""The x axis starts where predicting costs at most this many times as much as full attention."""


def draw_panel(
    axes: Axes, comparison: Comparison, own: pd.DataFrame, everything: pd.DataFrame, small: bool = False
) -> None:
    """Draw one panel.

    Parameters
    ----------
    axes : Axes
        The axes to draw on.
    comparison : Comparison
        The data and styles that all panels share.
    own : pandas.DataFrame
        The points of the panel's predictors.
    everything : pandas.DataFrame
        The points of all predictors in the same setting. Bounds are drawn as they are, other predictors by their front.
    small : bool
        Whether the panel is one of many in the figure, with smaller text and markers.
    """
    bounds = is_bound(everything)
    others = everything[~bounds & ~everything["predictor"].isin(own["predictor"])]
    if len(others):
        best = front_of(others, comparison)
        axes.plot(*interpolate(comparison.kept(best), best[comparison.metric]), zorder=1.2, **ENVELOPE)
    by_token = everything["projection"].map(block_size_of) == 1
    for _, series in everything[bounds & by_token].groupby("predictor", sort=False):
        _draw_bound(axes, series.sort_values("sparsity"), comparison, direct_label=not small)
    for names, series in own.groupby(["predictor", "variant"], sort=False):
        _draw_curve(
            axes, series, comparison, comparison.styles[str(names[0])], comparison.variants.index(str(names[1])), small
        )
    _draw_verticals(axes, everything, comparison, small)
    _set_axes(axes, comparison, small)


def interpolate(kept: np.ndarray, *values: Any) -> list[np.ndarray]:
    """Interpolate between points, linearly in the share of kept pairs.

    A value between two points is reached by using one point for some queries and the other point for the rest. On a
    logarithmic axis these straight lines are curves, so they are drawn in `STEPS` pieces.

    Parameters
    ----------
    kept : numpy.ndarray
        Share of kept pairs of each point, ``(points,)``, above 0 and falling.
    values : array-like
        One or more values of each point, each ``(points,)``.

    Returns
    -------
    list of numpy.ndarray
        `kept` and `values` at the interpolated places, each ``((points - 1) * STEPS + 1,)``.
    """
    steps = np.linspace(0, 1, STEPS, endpoint=False)
    place = np.arange(len(kept) - 1)[:, None] + steps
    x = np.append(np.exp(np.interp(place, np.arange(len(kept)), np.log(kept))).ravel(), kept[-1:])
    order = np.argsort(kept, kind="stable")
    return [x, *(np.interp(x, kept[order], np.asarray(value, dtype=float)[order]) for value in values)]


def _draw_curve(
    axes: Axes, series: pd.DataFrame, comparison: Comparison, own_style: PredictorStyle, variant: int, small: bool
) -> None:
    """Draw the front of one predictor as a line, its dominated points faintly, and its intervals as a band."""
    own = front_of(series, comparison)
    dominated = series[~series.index.isin(own.index)]
    faint = own_style.marker_arguments(2.2 if small else 4)
    axes.plot(comparison.kept(dominated), dominated[comparison.metric], linestyle="", alpha=0.3, zorder=3, **faint)
    line, width = LINES[variant] if variant else own_style.line, 1.1 if small else 1.5
    drawn = own_style.marker_arguments(3.4 if small else 5, hollow=variant > 0)
    kept, values = comparison.kept(own), own[comparison.metric]
    axes.plot(*interpolate(kept, values), color=own_style.colour, linestyle=line, linewidth=width, zorder=3.5)
    axes.plot(kept, values, linestyle="", zorder=4, **drawn)
    low, high = style.interval_ends(own, comparison.metric)
    if np.isfinite(low).any():
        places, below, above = interpolate(kept, low, high)
        axes.fill_between(places, below, above, color=own_style.colour, alpha=0.15, linewidth=0, zorder=2)


def _draw_bound(axes: Axes, series: pd.DataFrame, comparison: Comparison, direct_label: bool) -> None:
    """Draw a bound; its label is outside the region between the bounds, where few curves are."""
    kept, values = comparison.kept(series), series[comparison.metric].to_numpy(dtype=float)
    axes.plot(*interpolate(kept, values), color=BOUND_COLOUR, linestyle=DOTTED, linewidth=1.3, zorder=1.5)
    if not direct_label:
        return
    upper = series["bound"].iloc[0] == "upper"
    middle = int(np.abs(values - (0.8 if upper else 0.12)).argmin())
    right = upper or values[middle] < 0.06
    place: dict[str, Any] = {"xytext": (4, 2) if right else (-3, -3), "textcoords": "offset points"}
    place |= {"ha": "left", "va": "bottom"} if right else {"ha": "right", "va": "top"}
    ink: dict[str, Any] = {"color": style.MUTED, "fontsize": 7.5, "path_effects": HALO, "zorder": 6}
    axes.annotate(series["label"].iloc[0], (kept[middle], values[middle]), **place, **ink)


def _draw_verticals(axes: Axes, rows: pd.DataFrame, comparison: Comparison, small: bool) -> None:
    """Mark the gold sparsity and, on an axis of computation, the cost of full attention."""
    if comparison.x_axis is COMPUTATION:
        axes.axvline(1, color=style.MUTED, linewidth=0.8, linestyle=(0, (5, 3)), zorder=1)
    gold = float(rows["gold_sparsity"].mean())
    if not 0 <= gold < 1:
        return
    axes.axvline(1 - gold, color=style.GOLD, linewidth=1, zorder=1)
    if not small:
        place: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "ha": "center", "va": "bottom"}
        axes.text(1 - gold, 1.012, f"gold support: {gold:.1%}", color=style.MUTED, fontsize=7.5, **place)


def _set_axes(axes: Axes, comparison: Comparison, small: bool) -> None:
    """Set limits and ticks that are equal in all panels of a figure."""
    rows = comparison.rows
    bounds = is_bound(rows)
    kept = np.concatenate([comparison.kept(rows[bounds]), comparison.kept(rows[~bounds])])
    gold = (1 - rows["gold_sparsity"][rows["gold_sparsity"] < 1]).to_numpy(dtype=float)
    right = np.append(kept, gold).min()
    right = max(right, gold.min() / SPARSEST) if len(gold) else right
    left = min(max(kept.max(), 1) * 1.25, WIDEST) if comparison.x_axis is COMPUTATION else min(kept.max() * 1.18, 1.0)
    right /= 1.3 if small else 1.55
    set_sparsity_axis(axes, left, right, small)
    axes.set_ylim(-0.02, 1.02)
    axes.grid(True)


def set_sparsity_axis(axes: Axes, left: float, right: float, small: bool = False) -> None:
    """Make the x axis logarithmic in the share of kept pairs, from `left` down to `right`, labelled by the sparsity."""
    axes.set_xscale("log")
    axes.set_xlim(left, right)
    levels = _spaced_out(
        [level for level in (FEW_TICKS if small else TICKS) if right <= 1 - level <= left], left / right, small
    )
    axes.set_xticks([1 - level for level in levels] if len(levels) > 1 else np.geomspace(left, right, 5)[1:-1])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * (1 - value):.4g}%"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.tick_params(axis="x", labelsize=7 if small else 8)


def _spaced_out(levels: Sequence[float], span: float, small: bool) -> list[float]:
    """Leave out ticks whose labels would touch; 0 %, 90 %, 99 % and so on have precedence."""
    chosen: list[float] = []
    for level in sorted(levels, key=lambda level: (abs(math.log10(1 - level)) % 1 > 1e-9, -level)):
        gaps = [abs(math.log((1 - level) / (1 - other))) / math.log(span) for other in chosen]
        if min(gaps, default=1) >= (0.13 if small else 0.06):
            chosen.append(level)
    return chosen


def draw_legend(
    axes: Axes, comparison: Comparison, own: pd.DataFrame, letters: int, size: float, height: float
) -> None:
    """Draw the legend to the right of a panel, the best predictor first.

    Parameters
    ----------
    axes, comparison, own
        The panel, what all panels share, and the points of the panel's predictors.
    letters : int
        Number of letters in a line.
    size : float
        The largest font size in points.
    height : float
        The height available in inches.
    """
    labels = (
        own.drop_duplicates("predictor")
        .set_index("predictor")["label"]
        .map(lambda label: textwrap.fill(label, letters))
    )
    lines, spacing = sum(label.count("\n") + 1 for label in labels), 0.4
    size = min(size, 72 * height / (1.2 * lines + spacing * len(labels)))
    handles = []
    for name in best_first(own, comparison.metric, comparison.x_axis.column):
        own_style = comparison.styles[name]
        drawn = own_style.marker_arguments(0.65 * size)
        handles.append(Line2D([], [], linestyle=own_style.line, linewidth=1.2, label=labels[name], **drawn))
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.02, 1.0), "borderaxespad": 0, "borderpad": 0}
    axes.legend(handles=handles, handlelength=2.2, handletextpad=0.5, labelspacing=spacing, fontsize=size, **place)


def key_handles(comparison: Comparison, others: bool) -> list[Line2D]:
    """Return the legend entries that all panels share; `others` tells whether panels show the front of other panels."""
    rows, handles = comparison.rows, []
    if len(comparison.variants) > 1:
        for variant, line in zip(comparison.variants, LINES, strict=False):
            name = variant if variant else "without projection"
            drawn = PredictorStyle(style.MUTED, "o", line).marker_arguments(3.4, hollow=line != LINES[0])
            handles.append(Line2D([], [], linestyle=line, linewidth=1.1, label=name, **drawn))
    bounds = rows[is_bound(rows)]
    if len(bounds):
        names = " and ".join(bounds["label"].unique()) + (", at no cost" if comparison.x_axis is COMPUTATION else "")
        handles.append(Line2D([], [], color=BOUND_COLOUR, linestyle=DOTTED, label=names))
    if others:
        handles.append(Line2D([], [], label="best of the other panels", **ENVELOPE))
    gold = rows.groupby("attention", sort=False)["gold_sparsity"].mean()
    gold_labels = [f"{spell(name)} {value:.1%}" if len(gold) > 1 else f"{value:.1%}" for name, value in gold.items()]
    handles.append(Line2D([], [], color=style.GOLD, linewidth=1.2, label=f"gold sparsity: {', '.join(gold_labels)}"))
    if comparison.x_axis is COMPUTATION:
        handles.append(
            Line2D([], [], color=style.MUTED, linewidth=0.8, linestyle=(0, (5, 3)), label="as costly as full attention")
        )
    return [*handles, *_dominated_handles(comparison)]


def _dominated_handles(comparison: Comparison) -> list[Line2D]:
    real = comparison.rows[~is_bound(comparison.rows)]
    curves = real.groupby(["attention", "window", "predictor", "variant"], sort=False)
    if all(len(front_of(series, comparison)) == len(series) for _, series in curves):
        return []
    drawn: dict[str, Any] = {"marker": "o", "markersize": 4, "linestyle": "", "alpha": 0.35}
    return [Line2D([], [], color=style.MUTED, label="beaten by another of its points", **drawn)]
