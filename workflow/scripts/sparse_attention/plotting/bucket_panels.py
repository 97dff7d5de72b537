"""Figures with one panel per quantizer: the layout, the axis labels and the common legend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sparse_attention.plotting import style
from sparse_attention.summaries.wording import spell

COLUMNS, LEFT, RIGHT, HEAD, BOTTOM = 4, 0.62, 0.1, 0.72, 0.85
"""Number of panels in a row, and margins in inches."""
WIDE, TALL = (style.WIDTH - LEFT - RIGHT) / COLUMNS, 1.75
"""Width and height of a panel in inches."""
GAPS = {"wspace": 0.14, "hspace": 0.42}


def panels_of(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Split rows by attention and predictor; return each part with a panel title."""
    several = rows["attention"].nunique() > 1
    found = []
    for (attention, _), own in rows.groupby(["attention", "predictor"], sort=False):
        found.append((f"{spell(attention)}: {own['label'].iloc[0]}" if several else str(own["label"].iloc[0]), own))
    return found


def panel_grid(panels: list[Any]) -> tuple[Figure, Iterator[Axes]]:
    """Return a figure and its axes, one for each panel."""
    columns = min(COLUMNS, len(panels))
    down = -(-len(panels) // columns)
    margins = (LEFT, style.WIDTH - LEFT - columns * WIDE, HEAD, BOTTOM)
    figure, axes = style.canvas(down, columns, (WIDE, TALL), margins, sharey=True, gridspec_kw=GAPS)
    places = list(axes.flat)
    for place in places[len(panels) :]:
        place.remove()
    return figure, iter(places[: len(panels)])


def label_axes(figure: Figure, x_label: str, y_label: str, panels: int) -> None:
    """Label the x axis once for the whole figure, and the y axis of each row's first panel."""
    height = figure.get_figheight()
    figure.text(LEFT / style.WIDTH, (BOTTOM - 0.42) / height, x_label, fontsize=8.5, va="bottom")
    for place, axes in enumerate(figure.axes[:panels]):
        if place % COLUMNS == 0:
            axes.set_ylabel(y_label)


def draw_key(figure: Figure, handles: list[Any], columns: int) -> None:
    """Draw the legend that all panels share along the bottom of the figure."""
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (LEFT / style.WIDTH, 0.03 / figure.get_figheight())}
    figure.legend(handles=handles, ncols=columns, fontsize=7.5, handlelength=2, borderaxespad=0, borderpad=0, **place)
