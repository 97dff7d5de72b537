"""Heat maps with a row for each layer and a column for each head."""

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
"""Largest side and smallest height of a cell, in inches."""
HEAD, LEFT, RIGHT, ABOVE, BELOW = 0.45, 0.5, 0.6, 0.35, 0.45
"""Height of the figure's title and the margins around each panel, in inches."""
MOST_NUMBERS = 16
"""The largest number of heads for which cells show their numbers and every tick has a label."""

EQUALLY_READ = 0.2017
"""Relative luminance of a colour on which `style.INK` and white have the same contrast."""


def draw_panels(grid: list[list[tuple[str, pd.DataFrame, str]]], title: str, description: str) -> Figure:
    """Draw a grid of heat maps.

    Parameters
    ----------
    grid : list of lists of (str, pandas.DataFrame, str)
        Rows of panels: the title of a panel, a table with `layer` and `head`, and the column of shares to draw.
    title, description : str
        The title of the figure and the line below it.
    """
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
        style.draw_title(figure, title, description)
    return figure


def _heatmap(figure: Figure, box: tuple[float, float, float, float], values: pd.DataFrame, title: str) -> None:
    """Draw one heat map at `box` (left, bottom, width, height, in inches) with its colour bar."""
    axes = figure.add_axes(style.figure_shares(figure, box))
    numbers = 100 * values.to_numpy(dtype=float)
    low, high = np.nanmin(numbers), np.nanmax(numbers)
    image = axes.imshow(numbers, cmap=COLOURS, vmin=low, vmax=high if high > low else low + 1, aspect="auto")
    label_cells(axes, values)
    style.panel_title(axes, title)
    if len(values.columns) <= MOST_NUMBERS:
        _write_numbers(axes, numbers, image.norm)
    bar = figure.add_axes(style.figure_shares(figure, (box[0] + box[2] + 0.1, box[1], 0.1, box[3])))
    figure.colorbar(image, cax=bar)
    bar.set_title("%", fontsize=7.5, color=style.MUTED, loc="center", pad=4)
    bar.tick_params(labelsize=7, length=2)
    bar.spines[:].set_visible(False)


def label_cells(axes: Axes, values: pd.DataFrame) -> None:
    """Label rows with their layer and columns with their head."""
    for set_ticks, labels in ((axes.set_xticks, values.columns), (axes.set_yticks, values.index)):
        step = 1 if len(labels) <= MOST_NUMBERS else 2
        set_ticks(range(0, len(labels), step), [str(label) for label in labels[::step]])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("head")
    axes.set_ylabel("layer")


def contrasting_ink(colours: np.ndarray) -> np.ndarray:
    """Return the text colour that contrasts more with each background, by the relative luminance of WCAG 2.

    Parameters
    ----------
    colours : numpy.ndarray
        Red, green and blue from 0 to 1, float64 ``(…, 3)``.

    Returns
    -------
    numpy.ndarray
        Names of colours ``(…,)``.
    """
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    return np.where(linear @ np.array([0.2126, 0.7152, 0.0722]) > EQUALLY_READ, style.INK, "white")


def _write_numbers(axes: Axes, numbers: np.ndarray, norm: Any) -> None:
    inks = contrasting_ink(COLOURS(norm(numbers))[..., :3])
    digits = 1 if np.nanmin(numbers) > 80 else 0
    for (row, column), number in np.ndenumerate(numbers):
        if not np.isnan(number):
            ink = inks[row, column]
            axes.text(column, row, f"{number:.{digits}f}", ha="center", va="center", fontsize=6.5, color=ink)
