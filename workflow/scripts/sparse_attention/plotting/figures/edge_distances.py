"""Figure: the distances of kept pairs in the text, compared with those of the gold support."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from sparse_attention.files.segments import block_size_of
from sparse_attention.plotting import style
from sparse_attention.plotting.base import Plot
from sparse_attention.plotting.heatmaps import contrasting_ink
from sparse_attention.plotting.predictor_styles import groups, is_bound
from sparse_attention.plotting.selection import first_number, one_projection
from sparse_attention.summaries.wording import spell

COLOURS = matplotlib.colormaps["PuOr_r"]
MOST = 3.0
"""The colour scale ends at shares 2 to this power times larger or smaller than those of the gold support."""
LEFT, RIGHT, HEAD, BARS, ROW, GAP, BOTTOM = 1.95, 0.75, 0.5, 0.75, 0.19, 0.09, 0.45
"""Sizes in inches: row labels, colour bar, title, bars of the gold support, a row, the gap between groups, the axis."""


class EdgeDistances(Plot):
    """Shares of kept pairs by distance, a row per predictor; the colour is the ratio to the gold support's share."""

    name = "edge_distances"
    title = "Distances of the kept pairs"
    section = "distances"
    category = "The predictors"
    order = 10
    needs = ("offsets",)
    caption = """
    Distance of query and key in the text, for the pairs that each predictor keeps at its point nearest the configured
    sparsity, without window and kept tokens.
    Numbers are shares of the row's pairs. Orange cells hold a larger share than the gold support, violet cells a
    smaller share. A row without colour keeps near and far pairs in the same shares as the gold support; random pairs
    show the shares of a predictor that ignores both content and position.
    """

    def draw(self, tables: Mapping[str, pd.DataFrame], setting: Mapping[str, Any]) -> Figure:
        rows = one_projection(tables["offsets"])
        parts = list(rows.groupby("attention", sort=False))
        heights = [BARS + 0.15 + _height_of_groups(own) for _, own in parts]
        height = HEAD + sum(heights) + BOTTOM * len(parts)
        with style.house_style():
            figure, top = Figure(figsize=(style.WIDTH, height)), height - HEAD
            for (attention, own), tall in zip(parts, heights, strict=True):
                _draw_attention(figure, own, top, spell(attention) if len(parts) > 1 else "")
                top -= tall + BOTTOM
            description = style.describe_data(setting, rows, _settings_text(rows))
            style.draw_title(figure, "Distance of query and key of the kept pairs", description)
        return figure


def _settings_text(rows: pd.DataFrame) -> str:
    real = rows[~is_bound(rows)]
    middle = real.drop_duplicates(["attention", "predictor"])["sparsity"].median() if "sparsity" in real else np.nan
    near = [] if pd.isna(middle) else [f"points near {100 * middle:.0f}% sparsity"]
    return " · ".join([*near, "numbers are % of a row's pairs"])


def _groups_and_bounds(rows: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the rows of each group, bounds last."""
    bounds = is_bound(rows)
    return [*groups(rows[~bounds]).values(), *([rows[bounds]] if bounds.any() else [])]


def _height_of_groups(rows: pd.DataFrame) -> float:
    return sum(ROW * block["predictor"].nunique() + GAP for block in _groups_and_bounds(rows))


def _draw_attention(figure: Figure, rows: pd.DataFrame, top: float, title: str) -> None:
    """Draw the bars of the gold support and, below, a heat map per group."""
    width = style.WIDTH - LEFT - RIGHT
    gold = rows.groupby("distance", sort=False)["gold_share"].mean()
    some = rows.groupby("distance", sort=False)["share"].max() + gold > 0
    bins = sorted(gold.index[some], key=first_number)
    bars = figure.add_axes(style.figure_shares(figure, (LEFT, top - BARS + 0.04, width, BARS - 0.24)))
    bars.bar(range(len(bins)), gold[bins], color=style.GOLD, width=0.7)
    bars.set_xlim(-0.5, len(bins) - 0.5)
    bars.set_xticks([])
    bars.yaxis.set_major_formatter(PercentFormatter(1, 0))
    bars.tick_params(labelsize=7)
    bars.text(-0.08, 0.5, "Gold support", transform=bars.transAxes, ha="right", va="center", fontsize=7.5)
    style.panel_title(bars, title)
    top, first = top - BARS - 0.04, top - BARS - 0.04
    for block in _groups_and_bounds(rows):
        tall = ROW * block["predictor"].nunique()
        panel = figure.add_axes(style.figure_shares(figure, (LEFT, top - tall, width, tall)))
        image = _draw_group(panel, block, bins)
        top -= tall + GAP
    panel.set_xticks(range(len(bins)), bins, fontsize=7)
    by_token = (rows["projection"].map(block_size_of) == 1).all()
    panel.set_xlabel("Distance in tokens" if by_token else "Distance in blocks of tokens")
    high = min(1.6, first - top - GAP)
    bar = figure.add_axes(style.figure_shares(figure, (style.WIDTH - RIGHT + 0.12, first - high, 0.1, high)))
    ticks = np.arange(-MOST, MOST + 1)
    labels = [f"{2**value:g}" if value >= 0 else f"1/{2**-value:g}" for value in ticks]
    figure.colorbar(image, cax=bar).set_ticks(list(ticks), labels=labels, fontsize=7)
    bar.set_title("× gold", fontsize=7, color=style.MUTED, loc="left", pad=4)
    bar.spines[:].set_visible(False)


def _draw_group(axes: Axes, rows: pd.DataFrame, bins: list[Any]) -> Any:
    shares, gold = (
        rows.pivot(index="predictor", columns="distance", values=name).loc[rows["predictor"].unique(), bins]
        for name in ("share", "gold_share")
    )
    values, of_gold = shares.to_numpy(dtype=float), gold.to_numpy(dtype=float)
    ratio = np.full(values.shape, np.nan)
    # a cell in which neither the predictor nor the gold support has a pair keeps no colour
    known = (of_gold > 0) & (values > 0)
    ratio[known] = np.log2(values[known] / of_gold[known]).clip(-MOST, MOST)
    ratio[(of_gold > 0) & (values == 0)] = -MOST
    ratio[(of_gold == 0) & (values > 0)] = MOST
    image = axes.imshow(ratio, cmap=COLOURS, vmin=-MOST, vmax=MOST, aspect="auto")
    inks = contrasting_ink(COLOURS((ratio + MOST) / (2 * MOST))[..., :3])
    for (row, column), share in np.ndenumerate(values):
        if not np.isnan(share):
            text = f"{100 * share:.0f}" if share >= 0.005 else "0" if share == 0 else "<1"
            axes.text(column, row, text, ha="center", va="center", fontsize=6, color=inks[row, column])
    labels = rows.drop_duplicates("predictor").set_index("predictor")["label"]
    texts = [textwrap.shorten(labels[name], 36, placeholder="…") for name in shares.index]
    axes.set_yticks(range(len(shares)), texts, fontsize=7)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return image
