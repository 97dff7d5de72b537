"""One house style for every figure: type, colours that colour-blind readers can tell apart, files of equal bytes."""

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
"""The font comes with matplotlib; in SVG letters are paths, so that the figure looks the same everywhere."""
METADATA: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}
ATTENTION_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


@contextmanager
def house_style() -> Iterator[None]:
    """Draw in the house style, whatever the user's own matplotlib settings are."""
    house: Any = {**matplotlib.rcParamsDefault, **HOUSE}
    del house["backend"]
    with matplotlib.rc_context(house):
        yield


def save(figure: Figure, paths: Iterable[str]) -> None:
    """Write `figure` to every path, in the format of its suffix, without dates or programme names."""
    for path in paths:
        suffix = Path(path).suffix.lstrip(".")
        if suffix not in METADATA:
            raise InputError(f"{path}: {suffix!r} is not a format of figures; allowed: {', '.join(METADATA)}")
        with house_style(), atomic_path(path) as partial:
            figure.savefig(partial, format=suffix, metadata=METADATA[suffix])


def state(context: Mapping[str, Any], table: pd.DataFrame, *more: str) -> str:
    """Return the line that says what a figure was made from: corpus, model, attention, seeds, examples and more."""
    parts = [str(context[name]) for name in ("corpus", "model") if context.get(name)]
    parts += [spell(str(name)) for name in table["attention"].unique()] if "attention" in table else []
    parts += [count(table["seeds"].max(), "seed")] if "seeds" in table and len(table) else []
    if "examples" in table and table["examples"].notna().any():
        parts.append(count(table["examples"].max(), "example"))
    return " · ".join([*parts, *(part for part in more if part)])


def head_line(figure: Figure, title: str, statement: str, top: float = 0.09) -> None:
    """Put a title and, below it, what the figure was made from at the upper left; `top` is their height in inches."""
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
    lines = "\n".join(textwrap.wrap(statement, int(16.5 * figure.get_figwidth()), break_long_words=False))
    figure.text(
        0.08 / figure.get_figwidth(), 1 - (top + 0.19) / height, lines, ha="left", va="top", fontsize=7.5, color=MUTED
    )


def canvas(
    rows: int, columns: int, panel: tuple[float, float], margins: tuple[float, float, float, float], **kwargs: Any
) -> Any:
    """Return a figure and its axes `(rows, columns)` laid out in inches, so that text never changes the panels' size.

    Parameters
    ----------
    rows, columns : int
        Number of panels.
    panel : (float, float)
        Width and height that one panel takes, its own labels included.
    margins : (float, float, float, float)
        Left, right, top and bottom margins.
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
    """Put a legend to the right of a panel; where it is longer than the figure, this grows below its panels.

    To be called before `head_line`.
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


def blank(title: str, statement: str, text: str) -> Figure:
    """Return a figure that says why there is nothing to see."""
    with house_style():
        figure = Figure(figsize=(WIDTH, 1.2))
        head_line(figure, title, statement)
        figure.text(0.08 / WIDTH, 0.3, text, fontsize=8.5)
    return figure


def inches(figure: Figure, box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """Return `box` (left, bottom, width, height in inches) in shares of the figure."""
    width, height = figure.get_size_inches()
    return box[0] / width, box[1] / height, box[2] / width, box[3] / height


def limits(rows: pd.DataFrame, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and upper ends of the 95 % intervals of a column, float64 `(rows,)`; NaN where there are none.

    A table has them as `<column>_low` and `<column>_high`, or as half their width in `<column>_ci95`.
    """
    if f"{column}_low" in rows and rows[f"{column}_low"].notna().any():
        low, high = rows[f"{column}_low"], rows[f"{column}_high"]
    else:
        half = rows[f"{column}_ci95"] if f"{column}_ci95" in rows else float("nan")
        low, high = rows[column] - half, rows[column] + half
    return low.to_numpy(dtype=float), high.to_numpy(dtype=float)


def require(table: pd.DataFrame, path: Any) -> None:
    """Raise `InputError` when there is nothing to draw."""
    if table.empty:
        raise InputError(f"{path}: has no rows, so there is nothing to draw; leave this figure out")


def panel_title(axes: Axes, text: str) -> None:
    """Name a panel."""
    axes.set_title(text, fontsize=8.5, color=INK)
