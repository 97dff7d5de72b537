"""One house style for every figure: type, colours that colour-blind readers can tell apart, files of equal bytes."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sparse_attention.errors import InputError
from sparse_attention.scriptio import atomic_path
from sparse_attention.summaries.wording import count, spell

INK, MUTED, FAINT = "#1a1a1a", "#5f6368", "#d9dce0"
BOUND = "#8a8f98"
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


@dataclass(frozen=True)
class Look:
    """How one predictor is drawn wherever it appears."""

    colour: str
    marker: str
    line: Any = "-"

    @property
    def filled(self) -> bool:
        """Whether the marker has a face, so that a white edge sets it off."""
        return self.marker not in ("1", "2", "3", "4", "+", "x")


DASHED, DOTTED = (0, (4, 1.5)), (0, (1, 1.2))
LOOKS = {
    "cos": Look("#0072B2", "o"),
    "l2": Look("#56B4E9", "s"),
    "fixed": Look("#D55E00", "^"),
    "dynamic": Look("#E69F00", "v"),
    "kmeans": Look("#009E73", "D"),
    "window": Look("#333333", "P", DASHED),
    "bigbird": Look("#CC79A7", "X", DASHED),
    "longformer": Look("#882255", "p", DASHED),
    "oracle": Look(BOUND, "", DOTTED),
    "random": Look(BOUND, "", DOTTED),
}
"""Dashes mark the patterns that ignore content, dots the bounds."""
MORE_COLOURS = ("#332288", "#999933", "#CC6677", "#44AA99", "#AA4499", "#DDCC77", "#117733", "#661100", "#6699CC")
MORE_MARKERS = ("h", "<", ">", "*", "d", "8", "H", "1", "2", "3", "4")
ATTENTION_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def looks(predictors: Iterable[str]) -> dict[str, Look]:
    """Return the look of each predictor; those without one of their own get a free one in alphabetical order."""
    names = list(dict.fromkeys(predictors))
    free = (Look(colour, marker) for marker, colour in _pairs())
    extra = {name: next(free) for name in sorted(set(names) - set(LOOKS))}
    return {name: LOOKS.get(name) or extra[name] for name in names}


def _pairs() -> Iterator[tuple[str, str]]:
    """Yield pairs of marker and colour that differ in both from their neighbours, then all the others."""
    steps = range(len(MORE_COLOURS))
    for shift in itertools.count():
        yield from ((MORE_MARKERS[(step + shift) % len(MORE_MARKERS)], MORE_COLOURS[step]) for step in steps)


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


def require(table: pd.DataFrame, path: Any) -> None:
    """Raise `InputError` when there is nothing to draw."""
    if table.empty:
        raise InputError(f"{path}: has no rows, so there is nothing to draw; leave this figure out")


def panel_title(axes: Axes, text: str) -> None:
    """Name a panel."""
    axes.set_title(text, fontsize=8.5, color=INK)
