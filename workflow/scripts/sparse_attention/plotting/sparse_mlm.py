"""Shared parts of the figures of the language model under predicted attention: panels, markers and the legend."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sparse_attention.plotting import style
from sparse_attention.plotting.predictor_styles import PredictorStyle, bound_of, distinct_styles
from sparse_attention.summaries.sparse_mlm_jobs import FULL
from sparse_attention.summaries.wording import count, spell

BOUND_MARKERS = {"upper": "^", "lower": "v"}
FINETUNED: dict[str, Any] = {"marker": "*", "markersize": 10, "markeredgecolor": style.INK, "markeredgewidth": 0.6}
"""The marker of models that were trained further."""
SIZE = 5.5
POINT = ("predictor", "projection", "setting", "window", "keep")
LINE = ("predictor", "projection", "window", "keep", "dense_empty_rows")
"""Columns in which the points of one line agree."""
Panel = Callable[[Axes, pd.DataFrame, pd.DataFrame], None]


def draw_panels(
    table: pd.DataFrame,
    title: str,
    labels: tuple[str, str],
    setting: Mapping[str, Any],
    panel: Panel,
    extra: Iterable[Line2D],
    *more: str,
) -> Figure:
    """Draw a panel for each attention under which the model ran with predicted supports, with one legend.

    Parameters
    ----------
    table : pandas.DataFrame
        The table `sparse_mlm`.
    title : str
        The title of the figure.
    labels : (str, str)
        The labels of the x axis and of the y axis.
    setting : mapping
        `corpus` and `model`.
    panel : callable
        Draws the rows of one attention, its second argument, on its first; the third has the rows of full attention.
    extra : iterable of Line2D
        Legend entries below those of predictors.
    more : str
        Further parts of the line below the title.
    """
    is_full = table["predictor"] == FULL
    predicted, full = table[~is_full], table[is_full & (table["finetuned"] == 0)]
    parts = list(predicted.groupby("attention", sort=False))
    with style.house_style():
        several = len(parts) > 1
        size, top = ((4.3, 2.7), 0.75) if several else ((4.3, 3.2), 0.55)
        figure, axes = style.canvas(len(parts), 1, size, (0.75, 2.05, top, 0.5), sharex=True, sharey=True)
        for own, (attention, rows) in zip(axes[:, 0], parts, strict=True):
            panel(own, rows, full)
            own.grid(True)
            own.set_ylabel(labels[1])
            if several:
                style.panel_title(own, spell(attention))
        axes[-1, 0].set_xlabel(labels[0])
        style.legend_beside(axes[0, 0], *_legend(predicted, extra))
        blocks = f"{count(table['blocks'].max(), 'block')} of {count(table['documents'].max(), 'document')}"
        style.draw_title(figure, title, style.describe_data(setting, predicted, blocks, *more))
    return figure


def styles(rows: pd.DataFrame) -> dict[str, PredictorStyle]:
    """Return the style of each predictor; bounds get a marker, because a bound may have a single point."""
    found = distinct_styles(rows["predictor"])
    return {
        name: replace(own, marker=BOUND_MARKERS[bound_of(name)]) if bound_of(name) else own
        for name, own in found.items()
    }


def draw_points(axes: Axes, rows: pd.DataFrame, x: np.ndarray, column: str, joined: bool) -> None:
    """Draw the points of all predictors with their intervals.

    Parameters
    ----------
    axes : Axes
        The axes to draw on.
    rows : pandas.DataFrame
        The points.
    x : numpy.ndarray
        The place of each row on the x axis, ``(rows,)``.
    column : str
        The column on the y axis.
    joined : bool
        Whether a line joins the points of a predictor that have the same projection, window and kept tokens.
    """
    own_styles, rows = styles(rows), rows.assign(x=x)
    tuned = rows["finetuned"] > 0
    for (name, *_, dense), own in rows[~tuned].groupby(list(LINE), sort=False):
        drawn, own = own_styles[str(name)], own.sort_values("x", kind="stable")
        _draw_intervals(axes, own, column, drawn.colour)
        if joined:
            axes.plot(own["x"], own[column], color=drawn.colour, linestyle=drawn.line, linewidth=1.2, zorder=3)
        marker = drawn.marker_arguments(SIZE, hollow=bool(dense))
        axes.plot(own["x"], own[column], linestyle="", zorder=4, **marker)
    for row in rows[tuned].to_dict("records"):
        _draw_finetuned(axes, row, rows[~tuned], column, own_styles[row["predictor"]].colour)
    _draw_intervals(axes, rows[tuned], column, style.INK)


def _draw_intervals(axes: Axes, rows: pd.DataFrame, column: str, colour: str) -> None:
    low, high = style.interval_ends(rows, column)
    known = np.isfinite(low) & (high > low)
    axes.vlines(rows["x"][known], low[known], high[known], color=colour, linewidth=0.8, alpha=0.7, zorder=2.5)


def _draw_finetuned(axes: Axes, row: Mapping[Any, Any], before: pd.DataFrame, column: str, colour: str) -> None:
    """Draw a point after further training, with a thin line from where it started."""
    same = (before[list(POINT)] == [row[name] for name in POINT]).all(axis=1)
    same &= before["dense_empty_rows"] == row["dense_empty_rows"]
    for start in before[same].to_dict("records"):
        ends = [start["x"], row["x"]], [start[column], row[column]]
        axes.plot(*ends, color=colour, linewidth=0.9, linestyle=(0, (1, 1.2)), zorder=2.8)
    axes.plot(row["x"], row[column], linestyle="", color=colour, zorder=5, **FINETUNED)


def _legend(rows: pd.DataFrame, extra: Iterable[Line2D]) -> tuple[list[Line2D], list[str]]:
    """Return handles and labels: predictors as in the table, then what markers mean, then `extra`."""
    own_styles, handles = styles(rows), []
    for name, label in rows.drop_duplicates("predictor")[["predictor", "label"]].itertuples(index=False):
        drawn = own_styles[str(name)]
        handles.append(Line2D([], [], linestyle="", label=label, **drawn.marker_arguments(SIZE)))
    if (rows["finetuned"] > 0).any():
        steps = " or ".join(str(step) for step in sorted(set(rows["finetuned"]) - {0}))
        handles.append(Line2D([], [], linestyle="", color=style.MUTED, label=f"after {steps} more steps", **FINETUNED))
    if rows["dense_empty_rows"].any():
        hollow = PredictorStyle(style.MUTED, "o").marker_arguments(SIZE, hollow=True)
        handles.append(Line2D([], [], linestyle="", label="hollow: queries without\nkeys see all keys", **hollow))
    handles += extra
    return handles, [str(handle.get_label()) for handle in handles]
