"""Figure: the best predictor of every layer and head."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from sparse_attention.plotting import style
from sparse_attention.plotting.base import Plot
from sparse_attention.plotting.heatmaps import (
    ABOVE,
    BELOW,
    CELL,
    HEAD,
    LEFT,
    MOST_NUMBERS,
    SHORTEST,
    contrasting_ink,
    label_cells,
)
from sparse_attention.plotting.predictor_styles import CATEGORY_COLOURS
from sparse_attention.summaries.wording import count, kept_tokens, spell

CLOSE = 0.01
"""A cell is pale if the best predictor leads by less than this in recall."""
PALE = 0.4
"""Share of white in a pale colour."""
REST = "#333333"
"""Colour of all predictors that have no colour of their own."""
RIGHT = 1.95
"""Width of the right margin, which holds the legend, in inches."""


class HeatmapBest(Plot):
    """A panel per attention; the colour is the best predictor, the number its recall in per cent."""

    name = "heatmap_best"
    title = "The best predictor by layer and head"
    section = "heads"
    category = "The predictors"
    order = 10
    needs = ("best_by_head",)
    caption = """
    Which predictor recalls most in each layer and head at equal sparsity, bounds left out; the number is its recall
    in per cent.
    In pale cells the next predictor is less than one point behind. One colour everywhere means that one predictor is
    best for all heads; many colours mean that different heads need different predictors.
    """

    def draw(self, tables: Mapping[str, pd.DataFrame], setting: Mapping[str, Any]) -> Figure:
        table = tables["best_by_head"]
        wins = table.groupby("predictor", sort=False).size().sort_values(ascending=False, kind="stable")
        named = dict(zip(wins.index, CATEGORY_COLOURS[: len(CATEGORY_COLOURS) - 1], strict=False))
        parts = list(table.groupby("attention", sort=False))
        layers, heads = table["layer"].nunique(), table["head"].nunique()
        cell = min(CELL, (style.WIDTH - LEFT - RIGHT) / heads)
        tall = min(cell, max(SHORTEST, 3.6 / layers))
        shown = max(ABOVE + layers * tall + BELOW, ABOVE + 0.165 * (len(named) + 4))
        with style.house_style():
            width, height = max(LEFT + heads * cell + RIGHT, 4.8), HEAD + len(parts) * shown
            figure = Figure(figsize=(width, height))
            for place, (attention, rows) in enumerate(parts):
                bottom = height - HEAD - place * shown - ABOVE - layers * tall
                panel = figure.add_axes(style.figure_shares(figure, (LEFT, bottom, heads * cell, layers * tall)))
                _draw_panel(panel, rows, named)
                _draw_legend(panel, rows, named)
                style.panel_title(panel, spell(attention) if len(parts) > 1 else "Best predictor, and its recall in %")
            first = table.iloc[0]
            window = f"window {first['window']}" if first["window"] else "no window"
            description = style.describe_data(setting, table, window, kept_tokens(str(first["keep"])))
            title = f"The best predictor of every head at {100 * first['at_sparsity']:.4g}% sparsity"
            style.draw_title(figure, title, description)
        return figure


def _draw_panel(axes: Axes, rows: pd.DataFrame, named: Mapping[str, str]) -> None:
    grids = {name: rows.pivot(index="layer", columns="head", values=name) for name in ("predictor", "recall", "margin")}
    colours = np.ones((*grids["predictor"].shape, 3))
    for place, name in np.ndenumerate(grids["predictor"].to_numpy()):
        if isinstance(name, str):
            pale = PALE * bool(grids["margin"].to_numpy()[place] < CLOSE)
            colours[place] = (1 - pale) * np.array(to_rgb(named.get(name, REST))) + pale
    axes.imshow(colours, aspect="auto")
    label_cells(axes, grids["predictor"])
    axes.set_xticks(np.arange(-0.5, colours.shape[1]), minor=True)
    axes.set_yticks(np.arange(-0.5, colours.shape[0]), minor=True)
    axes.grid(which="minor", color="white", linewidth=1)
    axes.grid(which="major", visible=False)
    axes.tick_params(which="minor", length=0)
    if colours.shape[1] <= MOST_NUMBERS:
        inks = contrasting_ink(colours)
        for (row, column), recall in np.ndenumerate(100 * grids["recall"].to_numpy(dtype=float)):
            if not np.isnan(recall):
                axes.text(column, row, f"{recall:.0f}", ha="center", va="center", fontsize=6.5, color=inks[row, column])


def _draw_legend(axes: Axes, rows: pd.DataFrame, named: Mapping[str, str]) -> None:
    """Draw the legend; predictors that are best for the most heads come first."""
    wins, labels = rows.groupby("predictor").size(), rows.drop_duplicates("predictor").set_index("predictor")["label"]
    handles = [
        Patch(color=colour, label=textwrap.fill(f"{labels[name]} ({wins[name]})", 27))
        for name, colour in named.items()
        if name in wins
    ]
    rest = [name for name in wins.index if name not in named]
    if rest:
        number = sum(wins[name] for name in rest)
        handles.append(Patch(color=REST, label=f"{count(len(rest), 'other predictor')} ({number})"))
    if (rows["margin"] < CLOSE).any():
        handles.append(Patch(facecolor="white", edgecolor="white", label="pale: by less than a point"))
    beside = 1 + 0.12 / (axes.bbox.width / axes.figure.dpi)
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (beside, 1.0), "borderaxespad": 0, "borderpad": 0}
    axes.legend(handles=handles, title="best for (heads)", alignment="left", fontsize=7.2, title_fontsize=7.2,
                handlelength=1, handleheight=1, labelspacing=0.45, **place)  # fmt: skip
