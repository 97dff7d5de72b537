"""Figure: buckets in common by the distance of query and key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from sparse_attention.plotting import style
from sparse_attention.plotting.base import Plot
from sparse_attention.plotting.bucket_panels import draw_key, label_axes, panel_grid, panels_of
from sparse_attention.plotting.selection import first_number, last_number, nearest_point, one_projection

COLOURS = "YlGnBu"
FEWEST = 0.0005
"""The first and last bins are left out if they hold smaller shares of all pairs and of the gold pairs than this."""


class BucketDistances(Plot):
    """The share of pairs with buckets in common, by distance: bars for all pairs, a line for the gold pairs."""

    name = "bucket_distances"
    title = "Buckets in common, by distance"
    section = "buckets"
    category = "The buckets"
    order = 20
    needs = ("common_buckets",)
    settings = ("figures.heatmap.sparsity",)
    caption = """
    The share of query–key pairs that have buckets in common, by squared distance in the space in which the predictor
    compares them, at its point nearest the configured sparsity; the gold line is the same share among the gold pairs.
    With good buckets the bars fall steeply with distance and the gold line lies far above them. Fitting moves gold
    pairs close together, so the left end matters most.
    """

    def draw(self, tables: Mapping[str, pd.DataFrame], setting: Mapping[str, Any]) -> Figure:
        sparsity = setting["figures.heatmap.sparsity"]
        rows = one_projection(tables["common_buckets"])
        panels = [(title, nearest_point(own, sparsity)) for title, own in panels_of(rows)]
        most = int(min(4, max(1, *(own["common"].max() for _, own in panels))))
        colours = matplotlib.colormaps[COLOURS](np.linspace(0.35, 0.95, most))
        with style.house_style():
            figure, places = panel_grid(panels)
            for (title, own), axes in zip(panels, places, strict=True):
                _draw_shares(axes, own, most, colours)
                style.panel_title(axes, title)
            x_label = "Squared distance of query and key, as the predictor sees them: at most"
            label_axes(figure, x_label, "Share of pairs", len(panels))
            last = f"{most} or more" if rows["common"].max() > most else f"{most}"
            names = [f"{number} in common" for number in (*range(1, most), last)]
            handles: list[Any] = [Patch(color=colour, label=name) for name, colour in zip(names, colours, strict=True)]
            gold: dict[str, Any] = {"color": style.GOLD, "marker": "o", "markersize": 4, "linewidth": 1.2}
            handles.append(Line2D([], [], label="gold pairs with any in common", **gold))
            draw_key(figure, handles, 3)
            description = style.describe_data(setting, rows, f"points near {100 * sparsity:.4g}% sparsity")
            style.draw_title(figure, "Buckets that query and key have in common, by distance", description)
        return figure


def shown_bins(rows: pd.DataFrame) -> list[str]:
    """Return the bins of distance in order, without bins at either end that hold almost no pairs."""
    sums = rows.groupby("distance_bin")[["pairs", "gold_pairs"]].sum()
    bins = sorted(sums.index, key=first_number)
    filled = (sums / sums.sum() >= FEWEST).any(axis=1).loc[bins].to_numpy().nonzero()[0]
    return bins[filled[0] : filled[-1] + 1]


def _draw_shares(axes: Axes, rows: pd.DataFrame, most: int, colours: np.ndarray) -> None:
    capped = rows["common"].clip(upper=most)
    bins = shown_bins(rows)
    pairs, gold = (
        rows.groupby(["distance_bin", capped])[name].sum().unstack(fill_value=0).loc[bins]
        for name in ("pairs", "gold_pairs")
    )
    below = np.zeros(len(bins))
    for number in range(most, 0, -1):
        if number in pairs:
            share = (pairs[number] / pairs.sum(axis=1)).fillna(0).to_numpy()
            axes.bar(range(len(bins)), share, bottom=below, width=0.85, color=colours[number - 1])
            below += share
    gold_pairs = gold.sum(axis=1)
    found = gold.drop(columns=0, errors="ignore").sum(axis=1) / gold_pairs.where(gold_pairs > 0)
    axes.plot(range(len(bins)), found, color=style.GOLD, marker="o", markersize=3.2, linewidth=1.2)
    step = -(-len(bins) // 5)
    axes.set_xticks(range(0, len(bins), step), [last_number(name) for name in bins[::step]], fontsize=7)
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1, 0))
    axes.tick_params(axis="y", labelsize=7)
    axes.grid(True, axis="y")
