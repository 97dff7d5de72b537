"""Maps of pairs of tokens: a row for each query and a column for each key, with the tokens at two sides."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, ListedColormap, PowerNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.textpath import TextPath

from sparse_attention.plotting import style
from sparse_attention.summaries.wording import spell

SHADES = LinearSegmentedColormap.from_list("maps", matplotlib.colormaps["YlGnBu"](np.linspace(0.12, 1.0, 256)))
NORM = PowerNorm(0.5, 0.0, 1.0)
"""Shades of probabilities; the root keeps small ones visible."""
HIT, ADDED, MISSED = "#0072B2", "#d3d6da", "#D55E00"
"""Colours of gold pairs that are predicted, of other predicted pairs, and of gold pairs that are not."""
HEAD, BELOW, LEGEND, LEFT, RIGHT, GAP = 0.5, 0.54, 0.4, 0.78, 0.06, 0.1
"""Height of the figure's title, of the keys and of the legend, and margins, in inches."""
NARROW, STACKED = 6.1, 0.55
"""Width in inches below which the marks are explained one below the other, and the legend's height then."""
NAME, LINE = 0.17, 0.1
"""Height of the name above a column and of each line below it, in inches."""
SIDE = 1.9
"""Largest side of a map in inches."""
LONGEST, SMALLEST, LARGEST, WIDEST = 11, 3.4, 6.0, 36.0
"""Number of characters of a token that are written; sizes of the letters, and the length of a label, in points."""


def draw_maps(table: pd.DataFrame, title: str, description: str) -> Figure:
    """Draw the table `attention_maps`: a row of maps for each head, a column for full attention and each predictor.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of the table, at least one.
    title, description : str
        The title of the figure and the line below it.
    """
    length = int(table[["query", "key"]].max().max()) + 1
    texts = token_texts(table, length)
    predictors = list(table["predictor"].unique())
    parts = [(attention, heads_of(rows), rows) for attention, rows in table.groupby("attention", sort=False)]
    columns = 1 + len(predictors)
    # the name of the attention is a second line beside the maps
    left = LEFT + 0.14 * (len(parts) > 1)
    side = min(SIDE, (style.WIDTH - left - RIGHT - (columns - 1) * GAP) / columns)
    rows_of_maps = sum(len(heads) for _, heads, _ in parts)
    titles = [_titles(rows, predictors, side) for _, _, rows in parts]
    above = NAME + LINE * max(len(lines) for columns_of_part in titles for _, *lines in columns_of_part)
    width = max(left + columns * (side + GAP) + RIGHT - GAP, 4.8)
    legend = STACKED if width < NARROW else LEGEND
    height = HEAD + len(parts) * above + rows_of_maps * (side + GAP) + BELOW + legend
    with style.house_style():
        figure = Figure(figsize=(width, height))
        top = height - HEAD
        for (attention, heads, rows), columns_of_part in zip(parts, titles, strict=True):
            top -= above
            prefix = f"{spell(attention)}\n" if len(parts) > 1 else ""
            for place, head in enumerate(heads):
                top -= side + GAP
                axes = [
                    figure.add_axes(style.figure_shares(figure, (left + column * (side + GAP), top, side, side)))
                    for column in range(columns)
                ]
                own = rows[(rows["layer"] == head[0]) & (rows["head"] == head[1])]
                _draw_head(axes, own, predictors, length)
                _label_queries(axes[0], texts, side, f"{prefix}layer {head[0]}, head {head[1]}")
                if place == 0:
                    _write_titles(axes, columns_of_part, above)
        for panel in axes:
            _label_keys(panel, texts, side)
        style.draw_title(figure, title, description)
        _draw_legends(figure)
    return figure


def heads_of(rows: pd.DataFrame) -> list[tuple[int, int]]:
    """Return the layers and heads of some rows in order."""
    return sorted(set(zip(rows["layer"].tolist(), rows["head"].tolist(), strict=True)))


def token_texts(table: pd.DataFrame, length: int) -> list[str]:
    """Return what to write for each position: the text of its token, or the position where no pair names it."""
    texts: dict[int, str] = {}
    for side in ("key", "query"):
        texts |= dict(zip(table[side].tolist(), table[f"{side}_token"].astype(str).tolist(), strict=True))
    return [drawable(texts.get(place, str(place))) for place in range(length)]


def drawable(text: str) -> str:
    """Return a text that can be drawn as it is: not too long, in characters of the font, and never as a formula."""
    known = font_manager.get_font(font_manager.findfont("DejaVu Sans")).get_charmap()
    shown = "".join(char if ord(char) in known else "□" for char in text)
    shown = shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"
    return shown.replace("$", r"\$")


def _draw_head(axes: Sequence[Axes], rows: pd.DataFrame, predictors: Sequence[str], length: int) -> None:
    """Draw the gold map of one head and the map of each predictor."""
    for panel in axes:
        panel.set_xlim(-0.5, length - 0.5)
        panel.set_ylim(length - 0.5, -0.5)
        panel.set_xticks([])
        panel.set_yticks([])
        panel.spines[:].set_visible(True)
        panel.set_xticks(np.arange(0.5, length - 1), minor=True)
        panel.set_yticks(np.arange(0.5, length - 1), minor=True)
        panel.tick_params(which="minor", length=0)
        panel.grid(which="minor", linewidth=0.4)
    # the gold pairs are in the rows of every predictor
    gold = np.full((length, length), np.nan)
    pairs = rows[rows["probability"] > 0]
    gold[pairs["query"], pairs["key"]] = pairs["probability"]
    axes[0].imshow(gold, cmap=SHADES, norm=NORM, aspect="auto")
    for panel, name in zip(axes[1:], predictors, strict=True):
        own = rows[rows["predictor"] == name]
        kept, wanted = own["predicted"] == 1, own["probability"] > 0
        cells = np.full((length, length), np.nan)
        cells[own["query"][kept], own["key"][kept]] = wanted[kept].astype(float)
        panel.imshow(cells, cmap=ListedColormap([ADDED, HIT]), vmin=0, vmax=1, aspect="auto")
        missed = own[wanted & ~kept]
        size = 0.62 * 72 * panel.bbox.width / panel.figure.dpi / length
        panel.plot(missed["key"], missed["query"], **_cross(size))


def _cross(size: float) -> dict[str, Any]:
    return {
        "linestyle": "",
        "marker": "x",
        "color": MISSED,
        "markersize": size,
        "markeredgewidth": max(0.2 * size, 0.6),
    }


def _ticks(texts: Sequence[str], side: float) -> tuple[list[int], list[str], float]:
    """Return the places, the texts and the size of labels that do not overlap along a side of so many inches."""
    room = 72 * side / len(texts)
    widest = max(TextPath((0, 0), text, size=1).get_extents().width for text in texts)
    size = max(min(LARGEST, 0.95 * room, WIDEST / widest), SMALLEST)
    places = list(range(0, len(texts), int(np.ceil(size / room))))
    return places, [texts[place] for place in places], size


def _label_queries(panel: Axes, texts: Sequence[str], side: float, head: str) -> None:
    places, labels, size = _ticks(texts, side)
    panel.set_yticks(places, labels, fontsize=size)
    panel.tick_params(axis="y", length=1.5, width=0.4, pad=1.5)
    panel.annotate(
        head, (5, 0.5), xycoords=("figure points", "axes fraction"), rotation=90, va="center", ha="left", fontsize=8
    )


def _label_keys(panel: Axes, texts: Sequence[str], side: float) -> None:
    places, labels, size = _ticks(texts, side)
    panel.set_xticks(places, labels, fontsize=size, rotation=90)
    panel.tick_params(axis="x", length=1.5, width=0.4, pad=1.5)


def _titles(rows: pd.DataFrame, predictors: Sequence[str], side: float) -> list[list[str]]:
    """Return the lines above each column: what it shows, and of a predictor its sparsity and its setting."""
    titles = [["Full attention (gold)", "row: query", "column: key"]]
    for name in predictors:
        first = rows[rows["predictor"] == name].head(1).to_dict("records")
        lines = [
            line
            for own in first
            for line in (
                f"{100 * own['sparsity']:.1f}% sparsity",
                spell(own["projection"]),
                *textwrap.wrap(spell(own["point"]), int(21 * side)),
            )
        ]
        titles.append([str(first[0]["label"]) if first else name, *filter(None, lines)])
    return titles


def _write_titles(axes: Sequence[Axes], titles: Sequence[Sequence[str]], above: float) -> None:
    for panel, (name, *lines) in zip(axes, titles, strict=True):
        place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "top"}
        panel.annotate(name, (0, 1), (0, 72 * above), fontsize=8, **place)
        for number, line in enumerate(lines):
            down = NAME + LINE * number
            panel.annotate(line, (0, 1), (0, 72 * (above - down)), fontsize=6, color=style.MUTED, **place)


def _draw_legends(figure: Figure) -> None:
    """Draw what the shades of the first column and the marks of the others mean, below the maps."""
    bar = figure.add_axes(style.figure_shares(figure, (LEFT, 0.26, 1.3, 0.09)))
    figure.colorbar(ScalarMappable(NORM, SHADES), cax=bar, orientation="horizontal", ticks=[0.01, 0.1, 0.3, 0.6, 1])
    bar.set_xticklabels(["0.01", "0.1", "0.3", "0.6", "1"])
    bar.tick_params(labelsize=6, length=2, pad=1.5)
    bar.spines[:].set_visible(False)
    figure.text(0.08 / figure.get_figwidth(), 0.305 / figure.get_figheight(), "probability", fontsize=7, va="center")
    handles = [
        Patch(color=HIT, label="gold pair, predicted"),
        Line2D([], [], label="gold pair, missed", **_cross(5)),
        Patch(color=ADDED, label="predicted, but not gold"),
    ]
    bottom, columns = (0.05, 1) if figure.get_figwidth() < NARROW else (0.24, 3)
    place = style.figure_shares(figure, (LEFT + 1.6, bottom, 1, 1))[:2]
    figure.legend(handles=handles, loc="lower left", bbox_to_anchor=place, ncols=columns, fontsize=7, handlelength=1,
                  handleheight=1, columnspacing=1.4, borderaxespad=0, borderpad=0)  # fmt: skip
