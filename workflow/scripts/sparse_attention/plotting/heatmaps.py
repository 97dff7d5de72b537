"""Layer by head: how sparse the gold attention is, and how well one predictor follows it."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from sparse_attention.plotting import style

COLOURS = LinearSegmentedColormap.from_list("heat", matplotlib.colormaps["YlGnBu"](np.linspace(0.04, 0.92, 256)))
CELL, SHORTEST = 0.36, 0.17
"""Sides of a cell at most, and its height at least; this and the margins below are in inches."""
HEAD, LEFT, RIGHT, ABOVE, BELOW = 0.45, 0.5, 0.6, 0.35, 0.45
MOST_NUMBERS = 16
"""Numbers are written into the cells when there are at most this many heads."""


def draw_panels(grid: list[list[tuple[str, pd.DataFrame, str]]], title: str, statement: str) -> Figure:
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
