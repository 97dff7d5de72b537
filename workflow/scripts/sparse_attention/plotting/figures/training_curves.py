"""Figure: training curves of the language models."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from sparse_attention.plotting import style
from sparse_attention.plotting.base import Plot
from sparse_attention.plotting.curves import draw_curve
from sparse_attention.summaries.wording import spell


class TrainingCurves(Plot):
    """Loss during fine-tuning of the language models, with the unigram loss as a dotted line."""

    name = "training_curves"
    title = "Training curves"
    section = "models"
    category = "The language models"
    order = 10
    needs = ("training", "masked_lm")
    may_be_empty = ("masked_lm",)
    caption = """
    Loss of the masked language models during fine-tuning, a colour for each attention.
    Lines with markers are the validation split, thin lines the training batches; bands are 95 % intervals over
    seeds when there are several.
    The dotted line is the unigram loss of the validation split: the loss of a model that knows only how frequent each
    token is.
    """

    def draw(self, tables: Mapping[str, pd.DataFrame], setting: Mapping[str, Any]) -> Figure:
        curves, quality = tables["training"], tables["masked_lm"]
        attentions = list(curves["attention"].unique())
        with style.house_style():
            figure, axes = style.canvas(1, 1, (4.5, 2.9), (0.55, 2.05, 0.55, 0.45))
            panel = axes[0, 0]
            for attention, colour in zip(attentions, itertools.cycle(style.ATTENTION_COLOURS), strict=False):
                own = curves[curves["attention"] == attention]
                draw_curve(panel, own[own["phase"] == "train"], colour, linewidth=0.8, alpha=0.45)
                draw_curve(
                    panel, own[own["phase"] == "validation"], colour, marker="o", markersize=4, markeredgecolor="white"
                )
            _draw_unigram(panel, quality)
            panel.set_xlabel("optimiser step")
            panel.set_ylabel("loss (nats per masked token)")
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
            panel.grid(True, axis="y")
            _draw_legend(panel, curves, attentions)
            style.draw_title(figure, "Masked language models in training", style.describe_data(setting, curves))
        return figure


def _draw_unigram(axes: Axes, quality: pd.DataFrame) -> None:
    losses = quality["unigram_loss"].dropna()
    if len(losses):
        axes.axhline(float(losses.mean()), color=style.MUTED, linestyle=(0, (1, 1.5)), linewidth=1.1)
        axes.annotate(
            f"unigram loss {losses.mean():.2f}", (1, losses.mean()), xycoords=("axes fraction", "data"), xytext=(0, 3),
            textcoords="offset points", ha="right", va="bottom", fontsize=7.5, color=style.MUTED,
        )  # fmt: skip


def _draw_legend(axes: Axes, curves: pd.DataFrame, attentions: list[str]) -> None:
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
