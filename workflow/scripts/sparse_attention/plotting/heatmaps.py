"""Layer by head: how sparse the gold attention is, and how well one predictor follows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from sparse_attention.errors import InputError
from sparse_attention.plotting import style
from sparse_attention.summaries.wording import spell

COLOURS = LinearSegmentedColormap.from_list("heat", matplotlib.colormaps["YlGnBu"](np.linspace(0.04, 0.92, 256)))
CELL, SHORTEST = 0.36, 0.17
"""Sides of a cell at most, and its height at least; this and the margins below are in inches."""
HEAD, LEFT, RIGHT, ABOVE, BELOW = 0.45, 0.5, 0.6, 0.35, 0.45
MOST_NUMBERS = 16
"""Numbers are written into the cells when there are at most this many heads."""


def gold_sparsity(gold: pd.DataFrame, context: Mapping[str, Any]) -> Figure:
    """Draw the gold sparsity of every head, a panel per attention.

    Parameters
    ----------
    gold : pandas.DataFrame
        The table `gold_sparsity`.
    context : mapping
        `corpus` and `model`.
    """
    panels = [(spell(str(name)), rows, "gold_sparsity") for name, rows in gold.groupby("attention", sort=False)]
    return _draw([panels], "Gold sparsity of every head", style.state(context, gold))


def chosen_point(points: pd.DataFrame, predictor: str, sparsity: float, window: int, keep: str) -> pd.DataFrame:
    """Return, per attention, the row of the table `predictors` whose sparsity is nearest to `sparsity`.

    Raises
    ------
    InputError
        When the predictor has no point at this window and keep.
    """
    at = points[(points["window"] == window) & (points["keep"] == keep)]
    rows = at[at["predictor"] == predictor]
    if rows.empty:
        allowed = ", ".join(at["predictor"].unique()) or "none has a point at this window"
        raise InputError(
            f"figures.heatmap.predictor: {predictor!r} has no point at window {window}, keep {keep}; allowed: {allowed}"
        )
    distance = (rows["sparsity"] - sparsity).abs()
    return rows.loc[distance.groupby(rows["attention"], sort=False).idxmin()]


def predictor_heads(points: pd.DataFrame, by_head: pd.DataFrame, context: Mapping[str, Any]) -> Figure:
    """Draw sparsity and recall of every head at one point, a row of panels per attention.

    Parameters
    ----------
    points : pandas.DataFrame
        The chosen rows of the table `predictors`: one per attention.
    by_head : pandas.DataFrame
        The table `predictors_by_head`.
    context : mapping
        `corpus` and `model`.
    """
    keys = ["attention", "predictor", "projection", "point", "window", "keep"]
    grid = []
    for _, point in points.iterrows():
        rows = by_head[(by_head[keys] == point[keys]).all(axis=1)]
        prefix = f"{spell(point['attention'])}: " if len(points) > 1 else ""
        grid.append([(f"{prefix}{what}", rows, what) for what in ("sparsity", "recall")])
    first = points.iloc[0]
    setting = ", ".join(dict.fromkeys(spell(name) for name in points["point"]))
    window = f"window {first['window']}" if first["window"] else "no window"
    statement = style.state(context, points, spell(first["projection"]), setting, window)
    return _draw(grid, f"{first['label']}: sparsity and recall of every head", statement)


def _draw(grid: list[list[tuple[str, pd.DataFrame, str]]], title: str, statement: str) -> Figure:
    """Draw a grid of panels `(title, rows with layer and head, column)`, laid out in inches."""
    shapes = [(rows["layer"].nunique(), rows["head"].nunique()) for panels in grid for _, rows, _ in panels]
    layers, heads = (max(sizes) for sizes in zip(*shapes, strict=True))
    cell = min(CELL, (style.WIDTH - LEFT - RIGHT) / heads)
    tall = min(cell, max(SHORTEST, 3.6 / layers))
    wide, high = LEFT + heads * cell + RIGHT, ABOVE + layers * tall + BELOW
    if len(grid[0]) * wide > style.WIDTH:
        grid = [[panel] for panels in grid for panel in panels]
    width, height = max(len(grid[0]) * wide, 4.8), HEAD + len(grid) * high
    with style.house_style():
        figure = Figure(figsize=(width, height))
        for down, panels in enumerate(grid):
            for right, (name, rows, column) in enumerate(panels):
                values = rows.pivot(index="layer", columns="head", values=column)
                bottom = height - HEAD - down * high - ABOVE - len(values.index) * tall
                box = (right * wide + LEFT, bottom, len(values.columns) * cell, len(values.index) * tall)
                _heatmap(figure, box, values, name[:1].upper() + name[1:])
        style.head_line(figure, title, statement)
    return figure


def _heatmap(figure: Figure, box: tuple[float, float, float, float], values: pd.DataFrame, title: str) -> None:
    """Draw one panel at `box` (left, bottom, width, height in inches) with its colour bar."""
    axes = figure.add_axes(style.inches(figure, box))
    numbers = 100 * values.to_numpy(dtype=float)
    low, high = np.nanmin(numbers), np.nanmax(numbers)
    image = axes.imshow(numbers, cmap=COLOURS, vmin=low, vmax=high if high > low else low + 1, aspect="auto")
    label_cells(axes, values)
    style.panel_title(axes, title)
    if len(values.columns) <= MOST_NUMBERS:
        _write_numbers(axes, numbers, image.norm)
    bar = figure.add_axes(style.inches(figure, (box[0] + box[2] + 0.1, box[1], 0.1, box[3])))
    figure.colorbar(image, cax=bar)
    bar.set_title("%", fontsize=7.5, color=style.MUTED, loc="center", pad=4)
    bar.tick_params(labelsize=7, length=2)
    bar.spines[:].set_visible(False)


def label_cells(axes: Axes, values: pd.DataFrame) -> None:
    """Name rows as layers and columns as heads."""
    for set_ticks, labels in ((axes.set_xticks, values.columns), (axes.set_yticks, values.index)):
        step = 1 if len(labels) <= MOST_NUMBERS else 2
        set_ticks(range(0, len(labels), step), [str(label) for label in labels[::step]])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("head")
    axes.set_ylabel("layer")


def readable(colours: np.ndarray) -> np.ndarray:
    """Return the ink that contrasts more with each colour (WCAG's relative luminance).

    Parameters
    ----------
    colours : numpy.ndarray
        float64 `(…, 3)` in [0, 1].
    """
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    return np.where(linear @ np.array([0.2126, 0.7152, 0.0722]) > 0.22, style.INK, "white")


def _write_numbers(axes: Axes, numbers: np.ndarray, norm: Any) -> None:
    """Write each cell's number."""
    inks = readable(COLOURS(norm(numbers))[..., :3])
    digits = 1 if np.nanmin(numbers) > 80 else 0
    for (row, column), number in np.ndenumerate(numbers):
        if not np.isnan(number):
            ink = inks[row, column]
            axes.text(column, row, f"{number:.{digits}f}", ha="center", va="center", fontsize=6.5, color=ink)
