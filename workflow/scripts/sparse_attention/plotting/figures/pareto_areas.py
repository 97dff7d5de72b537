"""Figure: predictors ranked by the areas under their Pareto fronts, with intervals."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sparse_attention.errors import InputError
from sparse_attention.metrics.facts import compared_metrics
from sparse_attention.plotting import style
from sparse_attention.plotting.base import Plot
from sparse_attention.plotting.predictor_styles import (
    BOUND_COLOUR,
    CATEGORY_COLOURS,
    DOTTED,
    OTHERS,
    group_of,
    is_bound,
)
from sparse_attention.predictors.registry import GROUPS
from sparse_attention.summaries.wording import kept_tokens, spell

METRICS = compared_metrics()
LEFT, RIGHT, HEAD, ROW, TITLE, BOTTOM = 1.95, 0.15, 0.42, 0.185, 0.5, 0.85
"""Sizes in inches: row labels, right margin, title, a row, a panel's title, and the axis with the legend."""
SIZES = {"area": ("o", 4.6), "hypervolume": ("D", 3.2)}
"""Marker and its size for each quantity."""


class ParetoAreas(Plot):
    """A row per predictor, the largest area of recall first, and a panel per metric."""

    name = "pareto_areas"
    title = "Areas under the fronts"
    section = "predictors"
    category = "The predictors"
    order = 20
    needs = ("areas",)
    settings = ("figures.window", "figures.keep")
    caption = """
    All predictors, ranked by the area under the front (the mean value that a predictor attains over the sparsities in
    the title). The hypervolume is the area that its points dominate over all sparsities. Intervals are 95 % bootstrap
    intervals over documents and seeds.
    This run cannot rank predictors whose intervals overlap widely. The hypervolume also depends on the range of
    sparsities that was tried, so areas compare predictors better.
    A dot is the best projection of a predictor, strokes are its other projections; dotted lines are the areas of
    random pairs and of the oracle.
    """

    def draw(self, tables: Mapping[str, pd.DataFrame], setting: Mapping[str, Any]) -> Figure:
        table = tables["areas"]
        window, keep = setting["figures.window"], setting["figures.keep"]
        chosen = table[(table["windows"].astype(str) == str(window)) & (table["keep"] == keep)]
        if chosen[~is_bound(chosen)].empty:
            raise InputError(f"figures.window: no predictor was evaluated at window {window}, {keep}")
        parts = list(chosen.groupby("attention", sort=False))
        rows = {attention: _ranked(own) for attention, own in parts}
        height = HEAD + sum(TITLE + ROW * len(names) for names in rows.values()) + BOTTOM
        width = (style.WIDTH - LEFT - RIGHT) / len(METRICS)
        with style.house_style():
            figure, top = Figure(figsize=(style.WIDTH, height)), height - HEAD
            for attention, own in parts:
                tall = ROW * len(rows[attention])
                for place, metric in enumerate(METRICS):
                    box = (LEFT + place * width, top - TITLE - tall, width - 0.15, tall)
                    panel = figure.add_axes(style.figure_shares(figure, box))
                    _draw_panel(panel, own, metric, rows[attention], bare=place > 0)
                    first = len(parts) > 1 and not place
                    name = f"{spell(attention)}: {METRICS[metric].words}" if first else METRICS[metric].title
                    style.panel_title(panel, name)
                top -= TITLE + tall
            start = chosen["area_from"].iloc[0]
            description = style.describe_data(
                setting, chosen, f"window {window}" if window else "no window", kept_tokens(keep)
            )
            style.draw_title(
                figure, f"Areas under the fronts from {100 * start:.4g}% sparsity, and hypervolumes", description
            )
            _draw_key(figure, chosen)
        return figure


def _ranked(rows: pd.DataFrame) -> list[str]:
    """Return the predictors by rising area of recall, so that the best one is at the top of the axis."""
    best = rows[~is_bound(rows)].groupby("predictor", sort=False)["area_recall"].max()
    return [str(name) for name in best.sort_values(ascending=False, kind="stable").index[::-1]]


def colours() -> dict[str, str]:
    """Return the colour of each group of predictors."""
    return dict(zip((*GROUPS, OTHERS), CATEGORY_COLOURS, strict=False))


def _draw_panel(axes: Axes, rows: pd.DataFrame, metric: str, names: list[str], bare: bool) -> None:
    bounds = is_bound(rows)
    for value in rows.loc[bounds].groupby("predictor", sort=False)[f"area_{metric}"].max():
        axes.axvline(value, color=BOUND_COLOUR, linestyle=DOTTED, linewidth=1.3, zorder=1)
    for name, own in rows[~bounds].groupby("predictor", sort=False):
        colour = colours()[group_of(name)]
        best = own.sort_values("area_recall", kind="stable").iloc[[-1]]
        for size, (marker, large) in SIZES.items():
            place = names.index(str(name))
            drawn: dict[str, Any] = {"marker": marker, "markersize": large, "color": colour}
            column = f"{size}_{metric}"
            low, high = style.interval_ends(best, column)
            face = colour if size == "area" else "white"
            if np.isfinite(low).all():
                axes.plot([low[0], high[0]], [place, place], color=colour, linewidth=1.1, alpha=0.6, zorder=2)
            axes.plot(best[column], [place], linestyle="", markerfacecolor=face, zorder=3, **drawn)
            others = own[column].drop(best.index)
            if size == "area" and len(others):
                axes.plot(others, [place] * len(others), "|", color=colour, markersize=5, alpha=0.6, zorder=2)
    axes.set_ylim(-0.6, len(names) - 0.4)
    labels = rows.drop_duplicates("predictor").set_index("predictor")["label"]
    texts = [textwrap.shorten(labels[name], 36, placeholder="…") for name in names]
    axes.set_yticks(range(len(names)), [""] * len(names) if bare else texts, fontsize=7)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=7)
    axes.set_xlim(0, 1.03)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.grid(True)


def _draw_key(figure: Figure, rows: pd.DataFrame) -> None:
    real = rows[~is_bound(rows)]
    found = real["predictor"].map(group_of).unique()
    handles = [
        Line2D([], [], color=colour, marker="o", markersize=4.6, linestyle="", label=group)
        for group, colour in colours().items()
        if group in found
    ]
    signs: dict[str, Any] = {"color": style.MUTED, "linestyle": "-", "linewidth": 1.1}
    handles.append(Line2D([], [], marker="o", markersize=4.6, label="area, with its 95 % interval", **signs))
    hollow: dict[str, Any] = {"marker": "D", "markersize": 3.2, "markerfacecolor": "white"}
    handles.append(Line2D([], [], label="hypervolume", **hollow, **signs))
    if real.groupby(["attention", "predictor"]).size().max() > 1:
        other: dict[str, Any] = {"marker": "|", "markersize": 5, "color": style.MUTED, "linestyle": ""}
        handles.append(Line2D([], [], label="area with another projection", **other))
    if is_bound(rows).any():
        names = " and ".join(rows.loc[is_bound(rows), "label"].unique())
        handles.append(Line2D([], [], color=BOUND_COLOUR, linestyle=DOTTED, label=f"area of {names}"))
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0.02, 0.03 / figure.get_figheight())}
    figure.legend(handles=handles, ncols=3, fontsize=7.5, borderaxespad=0, borderpad=0, **place)
