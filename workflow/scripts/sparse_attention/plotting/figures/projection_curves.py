"""Figure: training curves of the projections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from sparse_attention.plotting import style
from sparse_attention.plotting.base import Plot
from sparse_attention.plotting.curves import draw_curve, layer_colours
from sparse_attention.summaries.wording import spell

TRAIN = (0, (3, 1.2))
"""Dashes of the lines for the train split."""


class ProjectionCurves(Plot):
    """Loss, recall and sparsity by layer, a row of panels per attention and projection."""

    name = "projection_curves"
    title = "Fitting the projections"
    section = "projections"
    category = "The projections"
    order = 10
    needs = ("projections",)
    caption = """
    Fitting the projections, layer by layer: the hinge loss, and recall and sparsity of the pairs that are closer than
    the margin.
    Solid lines are the validation split, dashed lines the train split; a gap between them shows over-fitting.
    """

    def draw(self, tables: Mapping[str, pd.DataFrame], setting: Mapping[str, Any]) -> Figure:
        curves = tables["projections"]
        rows = list(curves.groupby(["attention", "projection"], sort=False))
        colours = layer_colours(curves["layer"].unique())
        with style.house_style():
            gaps = {"wspace": 0.32, "hspace": 0.5}
            margins = (0.5, 1.1, 0.72 if len(rows) == 1 else 0.9, 0.45)
            figure, axes = style.canvas(
                len(rows), 3, ((style.WIDTH - 1.6) / 3, 2.1), margins, sharex=True, gridspec_kw=gaps
            )
            for ((attention, projection), own), panels in zip(rows, axes, strict=True):
                for column, panel in zip(("loss", "recall", "sparsity"), panels, strict=True):
                    _draw_layers(panel, own, column, colours)
                if len(rows) > 1:
                    label = f"{spell(attention)}: {spell(projection)}"
                    panels[0].text(0, 1.16, label, transform=panels[0].transAxes, fontsize=8, color=style.MUTED)
            for panel in axes[-1]:
                panel.set_xlabel("optimiser step")
            _draw_legend(axes[0, -1], colours)
            projection = spell(rows[0][0][1]) if len(rows) == 1 else ""
            style.draw_title(
                figure, "Projections being fitted, by layer", style.describe_data(setting, curves, projection)
            )
        return figure


def _draw_layers(axes: Axes, rows: pd.DataFrame, column: str, colours: Mapping[Any, Any]) -> None:
    for layer, colour in colours.items():
        own = rows[rows["layer"] == layer]
        draw_curve(axes, own[own["split"] == "train"], colour, column, linestyle=TRAIN, linewidth=0.8, alpha=0.6)
        draw_curve(axes, own[own["split"] == "validation"], colour, column, linewidth=1.4)
    style.panel_title(axes, column)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.tick_params(labelbottom=True)
    axes.grid(True, axis="y")


def _draw_legend(axes: Axes, colours: Mapping[Any, Any]) -> None:
    layers = list(colours)
    shown = layers if len(layers) <= 12 else [layers[i] for i in np.linspace(0, len(layers) - 1, 8).round().astype(int)]
    handles = [Line2D([], [], color=colours[layer], linewidth=2.2, label=f"layer {layer}") for layer in shown]
    handles += [
        Line2D([], [], color=style.MUTED, linewidth=1.4, label="validation"),
        Line2D([], [], color=style.MUTED, linewidth=0.8, linestyle=TRAIN, label="train"),
    ]
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.05, 1.0), borderaxespad=0)
