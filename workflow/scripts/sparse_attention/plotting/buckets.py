"""What quantizers make of queries and keys: how even their buckets are, and whether what is near shares them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator, PercentFormatter

from sparse_attention.plotting import style
from sparse_attention.plotting.curves import LAYERS
from sparse_attention.plotting.selection import first_number, last_number, nearest_point, one_projection
from sparse_attention.summaries.wording import spell

SIDES: dict[str, Any] = {"queries": "-", "keys": (0, (3, 1.2))}
COLUMNS, LEFT, RIGHT, HEAD, BOTTOM = 4, 0.55, 0.1, 0.72, 0.85
"""Panels beside each other, and margins in inches."""
WIDE, TALL = (style.WIDTH - LEFT - RIGHT) / COLUMNS, 1.75
GAPS = {"wspace": 0.14, "hspace": 0.42}
COMMON = "YlGnBu"
FEWEST = 0.0005
"""Bins at the ends with a smaller share of all pairs and of the gold pairs are left out: their shares mean nothing."""


def _panels(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Split into the series of one attention and predictor, each with a title."""
    several = rows["attention"].nunique() > 1
    found = []
    for (attention, _), own in rows.groupby(["attention", "predictor"], sort=False):
        found.append((f"{spell(attention)}: {own['label'].iloc[0]}" if several else str(own["label"].iloc[0]), own))
    return found


def _grid(panels: list[Any]) -> tuple[Figure, Iterator[Axes]]:
    """Return a figure with a place for each panel; places that are left are removed."""
    columns = min(COLUMNS, len(panels))
    down = -(-len(panels) // columns)
    margins = (LEFT, style.WIDTH - LEFT - columns * WIDE, HEAD, BOTTOM)
    figure, axes = style.canvas(down, columns, (WIDE, TALL), margins, sharey=True, gridspec_kw=GAPS)
    places = list(axes.flat)
    for place in places[len(panels) :]:
        place.remove()
    return figure, iter(places[: len(panels)])


def entropy(table: pd.DataFrame, context: Mapping[str, Any]) -> Figure:
    """Draw the entropy of the buckets of queries and keys against their number, a panel per predictor.

    Parameters
    ----------
    table : pandas.DataFrame
        The table `buckets`; heads are averaged.
    context : mapping
        `corpus` and `model`.
    """
    rows = one_projection(table)
    means = rows.groupby(["attention", "predictor", "label", "layer", "side", "buckets"], sort=False)["entropy"].mean()
    panels = _panels(means.reset_index())
    layers = sorted(rows["layer"].unique())
    colours = dict(zip(layers, matplotlib.colormaps[LAYERS](np.linspace(0.05, 0.9, len(layers))), strict=True))
    with style.house_style():
        figure, places = _grid(panels)
        for (title, own), axes in zip(panels, places, strict=True):
            for (layer, side), line in own.groupby(["layer", "side"], sort=False):
                line = line.sort_values("buckets")
                style_of = {"linestyle": SIDES.get(str(side), "-"), "color": colours[layer], "linewidth": 1.2}
                axes.plot(line["buckets"], line["entropy"], marker=".", markersize=3.5, **style_of)
            _bucket_axis(axes, sorted(own["buckets"].unique()))
            style.panel_title(axes, title)
        figure.axes[0].set_ylim(0, max(1.04, 1.04 * float(means.max())))
        _label(figure, "Buckets", "Entropy (1: all equally full)", len(panels))
        places_shown = np.linspace(0, len(layers) - 1, min(len(layers), 8)).round().astype(int)
        shown = [layers[place] for place in places_shown]
        handles = [Line2D([], [], color=colours[layer], linewidth=2, label=f"layer {layer}") for layer in shown]
        for side, dashes in SIDES.items():
            handles.append(Line2D([], [], color=style.MUTED, linestyle=dashes, linewidth=1.2, label=side))
        _key(figure, handles, 5)
        style.head_line(figure, "How evenly queries and keys fill the buckets", style.state(context, rows))
    return figure


def _bucket_axis(axes: Axes, counts: list[float]) -> None:
    axes.set_xscale("log", base=2)
    shown = [value for place, value in enumerate(counts) if place % -(-len(counts) // 5) == 0]
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axes.tick_params(labelsize=7)
    axes.grid(True)


def _label(figure: Figure, across: str, up: str, panels: int) -> None:
    """Name the axes once."""
    height = figure.get_figheight()
    figure.text(LEFT / style.WIDTH, (BOTTOM - 0.42) / height, across, fontsize=8.5, va="bottom")
    for place, axes in enumerate(figure.axes[:panels]):
        if place % COLUMNS == 0:
            axes.set_ylabel(up)


def _key(figure: Figure, handles: list[Any], columns: int) -> None:
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (LEFT / style.WIDTH, 0.03 / figure.get_figheight())}
    figure.legend(handles=handles, ncols=columns, fontsize=7.5, handlelength=2, borderaxespad=0, borderpad=0, **place)


def common(table: pd.DataFrame, sparsity: float, context: Mapping[str, Any]) -> Figure:
    """Draw how many buckets pairs share, by their distance, and how many of the gold pairs share one; all layers.

    Parameters
    ----------
    table : pandas.DataFrame
        The table `common_buckets`.
    sparsity : float
        Of each predictor's points the one is drawn whose pairs with a bucket in common are nearest to it.
    context : mapping
        `corpus` and `model`.
    """
    rows = one_projection(table)
    panels = [(title, nearest_point(own, sparsity)) for title, own in _panels(rows)]
    most = int(min(4, max(1, *(own["common"].max() for _, own in panels))))
    colours = matplotlib.colormaps[COMMON](np.linspace(0.35, 0.95, most))
    with style.house_style():
        figure, places = _grid(panels)
        for (title, own), axes in zip(panels, places, strict=True):
            _shares(axes, own, most, colours)
            style.panel_title(axes, title)
        across = "Squared distance of query and key, as the predictor sees them: at most"
        _label(figure, across, "Share of pairs", len(panels))
        last = f"{most} or more" if rows["common"].max() > most else f"{most}"
        names = [f"{number} in common" for number in (*range(1, most), last)]
        handles: list[Any] = [Patch(color=colour, label=name) for name, colour in zip(names, colours, strict=True)]
        gold: dict[str, Any] = {"color": style.GOLD, "marker": "o", "markersize": 4, "linewidth": 1.2}
        handles.append(Line2D([], [], label="gold pairs with any in common", **gold))
        _key(figure, handles, 3)
        statement = style.state(context, rows, f"points near {100 * sparsity:.4g}% sparsity")
        style.head_line(figure, "Buckets that query and key have in common, by distance", statement)
    return figure


def told_bins(rows: pd.DataFrame) -> list[str]:
    """Return the bins of distance in order, without the first and last ones that hold next to no pairs."""
    sums = rows.groupby("distance_bin")[["pairs", "gold_pairs"]].sum()
    bins = sorted(sums.index, key=first_number)
    held = (sums / sums.sum() >= FEWEST).any(axis=1).loc[bins].to_numpy().nonzero()[0]
    return bins[held[0] : held[-1] + 1]


def _shares(axes: Axes, rows: pd.DataFrame, most: int, colours: np.ndarray) -> None:
    capped = rows["common"].clip(upper=most)
    bins = told_bins(rows)
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
    told = gold.sum(axis=1)
    found = gold.drop(columns=0, errors="ignore").sum(axis=1) / told.where(told > 0)
    axes.plot(range(len(bins)), found, color=style.GOLD, marker="o", markersize=3.2, linewidth=1.2)
    step = -(-len(bins) // 5)
    axes.set_xticks(range(0, len(bins), step), [last_number(name) for name in bins[::step]], fontsize=7)
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1, 0))
    axes.tick_params(axis="y", labelsize=7)
    axes.grid(True, axis="y")
