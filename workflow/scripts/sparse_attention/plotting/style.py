"""The house style of every figure: fonts, colours for colour-blind readers, and reproducible files."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sparse_attention.errors import InputError
from sparse_attention.files.atomic import atomic_path
from sparse_attention.summaries.wording import count, spell

INK, MUTED = "#1a1a1a", "#5f6368"
GOLD = "#b8860b"
WIDTH = 7.1
"""Width of a figure in inches: the text width of an A4 page."""

HOUSE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.labelsize": 8.5,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlepad": 5,
    "axes.titlesize": 8.5,
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "grid.color": "#e8eaed",
    "grid.linewidth": 0.6,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "lines.markersize": 5,
    "pdf.fonttype": 42,
    "savefig.dpi": 300,
    "svg.fonttype": "path",
    "svg.hashsalt": "sparse-attention",
    "text.color": INK,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 8,
}
"""Settings of matplotlib. The font ships with matplotlib; SVG draws letters as paths, so readers need no font."""
METADATA: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}
"""Metadata that is left out of each file format, because it differs from run to run or between versions."""
ATTENTION_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


@contextmanager
def house_style() -> Iterator[None]:
    """Apply the house style inside a `with` block and ignore the user's own matplotlib settings."""
    house: Any = {**matplotlib.rcParamsDefault, **HOUSE}
    del house["backend"]
    with matplotlib.rc_context(house):
        yield


def save(figure: Figure, paths: Iterable[str]) -> None:
    """Write `figure` to every path, in the format of the suffix and without dates or program names.

    Raises
    ------
    InputError
        When a suffix is not one of `METADATA`.
    """
    for path in paths:
        suffix = Path(path).suffix.lstrip(".")
        if suffix not in METADATA:
            raise InputError(f"{path}: {suffix!r} is not allowed as a figure format; allowed: {', '.join(METADATA)}")
        with house_style(), atomic_path(path) as partial:
            figure.savefig(partial, format=suffix, metadata=METADATA[suffix])


def describe_data(context: Mapping[str, Any], table: pd.DataFrame, *more: str) -> str:
    """Return the line below a figure's title: its corpus, model, attention, number of seeds and of examples.

    Parameters
    ----------
    context : mapping
        `corpus` and `model`; either may be missing.
    table : pandas.DataFrame
        The rows that are drawn. Columns `attention`, `seeds` and `examples` are used where present.
    more : str
        Further parts of the line; empty ones are left out.
    """
    parts = [str(context[name]) for name in ("corpus", "model") if context.get(name)]
    parts += [spell(str(name)) for name in table["attention"].unique()] if "attention" in table else []
    parts += [count(table["seeds"].max(), "seed")] if "seeds" in table and len(table) else []
    if "examples" in table and table["examples"].notna().any():
        parts.append(count(table["examples"].max(), "example"))
    return " · ".join([*parts, *(part for part in more if part)])


def draw_title(figure: Figure, title: str, description: str, top: float = 0.09) -> None:
    """Write the title and, below it, `description` at the upper left, `top` inches below the upper edge."""
    height = figure.get_figheight()
    figure.text(
        0.08 / figure.get_figwidth(),
        1 - top / height,
        title,
        ha="left",
        va="top",
        fontsize=10,
        fontweight="bold",
        color=INK,
    )
    lines = "\n".join(textwrap.wrap(description, int(16.5 * figure.get_figwidth()), break_long_words=False))
    figure.text(
        0.08 / figure.get_figwidth(), 1 - (top + 0.19) / height, lines, ha="left", va="top", fontsize=7.5, color=MUTED
    )


def canvas(
    rows: int, columns: int, panel: tuple[float, float], margins: tuple[float, float, float, float], **kwargs: Any
) -> Any:
    """Return a figure and its axes ``(rows, columns)``, laid out in inches so that text never resizes the panels.

    Parameters
    ----------
    rows, columns : int
        Number of panels.
    panel : (float, float)
        Width and height of one panel with its own labels, in inches.
    margins : (float, float, float, float)
        Left, right, top and bottom margins, in inches.
    kwargs
        Passed to `Figure.subplots`.
    """
    left, right, top, bottom = margins
    width, height = left + columns * panel[0] + right, top + rows * panel[1] + bottom
    figure = Figure(figsize=(width, height))
    axes = figure.subplots(rows, columns, squeeze=False, **kwargs)
    figure.subplots_adjust(left=left / width, right=1 - right / width, top=1 - top / height, bottom=bottom / height)
    return figure, axes


def legend_beside(axes: Axes, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """Put a legend to the right of a panel; make the figure taller if the legend is longer than the figure.

    Call this before `draw_title`, which places text relative to the final height.
    """
    legend = axes.legend(handles, labels, loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0)
    figure = axes.get_figure(root=True)
    assert figure is not None
    below = 0.08 - legend.get_window_extent().y0 / figure.dpi
    if below > 0:
        width, height = figure.get_size_inches()
        place, grown = figure.subplotpars, height + below
        figure.set_size_inches(width, grown)
        figure.subplots_adjust(
            top=(place.top * height + below) / grown, bottom=(place.bottom * height + below) / grown
        )  # fmt: skip


def blank_figure(title: str, description: str, text: str) -> Figure:
    """Return a figure without panels whose `text` explains why nothing can be drawn."""
    with house_style():
        figure = Figure(figsize=(WIDTH, 1.2))
        draw_title(figure, title, description)
        figure.text(0.08 / WIDTH, 0.3, text, fontsize=8.5)
    return figure


def figure_shares(figure: Figure, box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """Convert `box` (left, bottom, width, height) from inches to fractions of the figure's size."""
    width, height = figure.get_size_inches()
    return box[0] / width, box[1] / height, box[2] / width, box[3] / height


def interval_ends(rows: pd.DataFrame, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and upper ends of a column's 95 % intervals.

    A table stores the ends as `<column>_low` and `<column>_high`, or half the width as `<column>_ci95`.

    Returns
    -------
    (numpy.ndarray, numpy.ndarray)
        Lower and upper ends, float64 ``(rows,)``; NaN where a row has no interval.
    """
    if f"{column}_low" in rows and rows[f"{column}_low"].notna().any():
        low, high = rows[f"{column}_low"], rows[f"{column}_high"]
    else:
        half = rows[f"{column}_ci95"] if f"{column}_ci95" in rows else float("nan")
        low, high = rows[column] - half, rows[column] + half
    return low.to_numpy(dtype=float), high.to_numpy(dtype=float)


def require_rows(table: pd.DataFrame, path: Any) -> None:
    """Raise `InputError` when the table read from `path` has no rows."""
    if table.empty:
        raise InputError(f"{path}: has no rows, so there is nothing to draw; allowed: at least one row")


def panel_title(axes: Axes, text: str) -> None:
    """Write the title of a panel."""
    axes.set_title(text, fontsize=8.5, color=INK)
