"""How things learn: losses of the language models, and loss, recall and sparsity of the projections."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from sparse_attention.plotting import style
from sparse_attention.summaries.wording import spell

LAYERS = "viridis"
TRAIN = (0, (3, 1.2))


def training(curves: pd.DataFrame, quality: pd.DataFrame, context: Mapping[str, Any]) -> Figure:
    """Draw training and validation losses of every attention, with the unigram loss as a dotted line.

    Parameters
    ----------
    curves, quality : pandas.DataFrame
        The tables `training` and `masked_lm`.
    context : mapping
        `corpus` and `model`.
    """
    attentions = list(curves["attention"].unique())
    with style.house_style():
        figure, axes = style.canvas(1, 1, (4.5, 2.9), (0.55, 2.05, 0.55, 0.45))
        panel = axes[0, 0]
        for attention, colour in zip(attentions, itertools.cycle(style.ATTENTION_COLOURS), strict=False):
            own = curves[curves["attention"] == attention]
            _curve(panel, own[own["phase"] == "train"], colour, linewidth=0.8, alpha=0.45)
            _curve(panel, own[own["phase"] == "validation"], colour, marker="o", markersize=4, markeredgecolor="white")
        _unigram(panel, quality)
        panel.set_xlabel("optimiser step")
        panel.set_ylabel("loss (nats per masked token)")
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.grid(True, axis="y")
        _training_legend(panel, curves, attentions)
        style.head_line(figure, "Masked language models in training", style.state(context, curves))
    return figure


def _curve(axes: Axes, rows: pd.DataFrame, colour: str, column: str = "loss", **kwargs: Any) -> None:
    """Draw a curve and, with several seeds, its 95 % interval as a band."""
    rows = rows[rows[column].notna()].sort_values("step", kind="stable")
    axes.plot(rows["step"], rows[column], color=colour, **kwargs)
    if rows[f"{column}_ci95"].notna().any():
        low, high = rows[column] - rows[f"{column}_ci95"], rows[column] + rows[f"{column}_ci95"]
        axes.fill_between(rows["step"], low, high, color=colour, alpha=0.15, linewidth=0)


def _unigram(axes: Axes, quality: pd.DataFrame) -> None:
    losses = quality["unigram_loss"].dropna()
    if len(losses):
        axes.axhline(float(losses.mean()), color=style.MUTED, linestyle=(0, (1, 1.5)), linewidth=1.1)
        axes.annotate(
            f"unigram loss {losses.mean():.2f}", (1, losses.mean()), xycoords=("axes fraction", "data"), xytext=(0, 3),
            textcoords="offset points", ha="right", va="bottom", fontsize=7.5, color=style.MUTED,
        )  # fmt: skip


def _training_legend(axes: Axes, curves: pd.DataFrame, attentions: list[str]) -> None:
    handles = []
    for attention, colour in zip(attentions, itertools.cycle(style.ATTENTION_COLOURS), strict=False):
        losses = curves[(curves["attention"] == attention) & (curves["phase"] == "validation")].sort_values("step")[
            "loss"
        ]
        end = f" ({losses.iloc[-1]:.2f} at the end)" if len(losses) else ""
        handles.append(Line2D([], [], color=colour, linewidth=2.5, label=spell(attention) + end))
    handles += [
        Line2D([], [], color=style.MUTED, marker="o", markersize=4, markeredgecolor="white", label="validation"),
        Line2D([], [], color=style.MUTED, linewidth=0.8, alpha=0.6, label="training batches"),
    ]
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0)


def projections(curves: pd.DataFrame, context: Mapping[str, Any]) -> Figure:
    """Draw loss, recall and sparsity of the projections by layer, a row of panels per attention and projection.

    Parameters
    ----------
    curves : pandas.DataFrame
        The table `projections`.
    context : mapping
        `corpus` and `model`.
    """
    rows = list(curves.groupby(["attention", "projection"], sort=False))
    layers = sorted(curves["layer"].unique())
    colours = dict(zip(layers, matplotlib.colormaps[LAYERS](np.linspace(0.05, 0.9, len(layers))), strict=True))
    with style.house_style():
        gaps = {"wspace": 0.32, "hspace": 0.5}
        margins = (0.5, 1.1, 0.72 if len(rows) == 1 else 0.9, 0.45)
        figure, axes = style.canvas(
            len(rows), 3, ((style.WIDTH - 1.6) / 3, 2.1), margins, sharex=True, gridspec_kw=gaps
        )
        for ((attention, projection), own), panels in zip(rows, axes, strict=True):
            for column, panel in zip(("loss", "recall", "sparsity"), panels, strict=True):
                _by_layer(panel, own, column, colours)
            if len(rows) > 1:
                label = f"{spell(attention)}: {spell(projection)}"
                panels[0].text(0, 1.16, label, transform=panels[0].transAxes, fontsize=8, color=style.MUTED)
        for panel in axes[-1]:
            panel.set_xlabel("optimiser step")
        _layer_legend(axes[0, -1], colours)
        projection = spell(rows[0][0][1]) if len(rows) == 1 else ""
        style.head_line(figure, "Projections being fitted, by layer", style.state(context, curves, projection))
    return figure


def _by_layer(axes: Axes, rows: pd.DataFrame, column: str, colours: Mapping[Any, Any]) -> None:
    for layer, colour in colours.items():
        own = rows[rows["layer"] == layer]
        _curve(axes, own[own["split"] == "train"], colour, column, linestyle=TRAIN, linewidth=0.8, alpha=0.6)
        _curve(axes, own[own["split"] == "validation"], colour, column, linewidth=1.4)
    style.panel_title(axes, column)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.tick_params(labelbottom=True)
    axes.grid(True, axis="y")


def _layer_legend(axes: Axes, colours: Mapping[Any, Any]) -> None:
    layers = list(colours)
    shown = layers if len(layers) <= 12 else [layers[i] for i in np.linspace(0, len(layers) - 1, 8).round().astype(int)]
    handles = [Line2D([], [], color=colours[layer], linewidth=2.2, label=f"layer {layer}") for layer in shown]
    handles += [
        Line2D([], [], color=style.MUTED, linewidth=1.4, label="validation"),
        Line2D([], [], color=style.MUTED, linewidth=0.8, linestyle=TRAIN, label="train"),
    ]
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.05, 1.0), borderaxespad=0)
