"""Figure of the pruned classifiers: kept tokens and F1 by the weight of the regulariser."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from sparse_attention.plotting import style
from sparse_attention.plotting.base import Plot
from sparse_attention.plotting.pruning import MARKERS, SYSTEMS, dropped_where_possible, error_bars, short_label
from sparse_attention.settings.grids import lambda_sweeps
from sparse_attention.summaries.wording import count


class PruningStrength(Plot):
    """Kept share and F1 against lambda, a line per group of prunings that differ only in lambda."""

    name = "pruning_strength"
    title = "Kept share and F1 by the weight of the regulariser"
    section = "pruning"
    category = "The pruned classifiers"
    order = 30
    needs = ("pruning",)
    condition = "prunings differ in lambda"
    subject = ("code", "classifier")
    caption = """
    Above: the share of a test function's tokens that the layers of the hard model keep, averaged over functions and
    layers, against the weight λ of the regulariser; bars are 95 % intervals over seeds when there are several.
    Below: F1 on the test split, with 95 % bootstrap intervals over functions, and over seeds when there are several;
    the dashed line and the grey band are the dense model and its interval.
    A line joins prunings that differ only in λ. Values of λ are evenly spaced, not to scale, so that λ = 0 (no
    regulariser) can be shown. Lines are shifted slightly so that their bars do not overlap.
    """

    def draw(self, tables: Mapping[str, pd.DataFrame], setting: Mapping[str, Any]) -> Figure:
        table = tables["pruning"]
        sweeps = lambda_sweeps(table["pruning"].unique())
        own = dropped_where_possible(table)
        hard = own[own["system"] == "hard"].set_index("pruning")
        weights = sorted({weight for sweep in sweeps.values() for weight in sweep})
        with style.house_style():
            slanted = len(weights) > 8
            margins = (0.85, 2.1, 0.55, 0.7 if slanted else 0.45)
            figure, axes = style.canvas(2, 1, (4.15, 1.8), margins, sharex=True)
            shares, scores = axes[:, 0]
            _draw_dense(scores, own[own["system"] == "dense"].iloc[0])
            styles = zip(itertools.cycle(style.ATTENTION_COLOURS), itertools.cycle(MARKERS), strict=False)
            for number, ((group, sweep), (colour, marker)) in enumerate(zip(sweeps.items(), styles, strict=False)):
                # shift the groups slightly, so that their bars at one lambda do not overlap
                shift = (number - (len(sweeps) - 1) / 2) * min(0.08, 0.5 / len(sweeps))
                places, rows = [weights.index(weight) + shift for weight in sweep], hard.loc[list(sweep.values())]
                for panel, column in ((shares, "kept_share"), (scores, "f1")):
                    panel.errorbar(
                        places, rows[column], yerr=error_bars(rows, column), color=colour, marker=marker, markersize=5,
                        linewidth=1.2, elinewidth=0.8, markeredgecolor="white", markeredgewidth=0.5,
                        label=short_label(group, pd.Series(list(sweeps))),
                    )  # fmt: skip
            _label_axes(shares, scores)
            scores.set_xticks(range(len(weights)), [f"{weight:g}" for weight in weights], rotation=45 if slanted else 0)
            scores.set_xlim(-0.5, len(weights) - 0.5)
            line = (
                f"test, {count(own['positive'].iloc[0], 'positive')} of {count(own['functions'].iloc[0], 'function')}"
            )
            style.draw_title(
                figure, "Pruning by the weight of the regulariser", style.describe_data(setting, own, line)
            )
        return figure


def _draw_dense(axes: Axes, row: pd.Series[Any]) -> None:
    label, colour = SYSTEMS["dense"]
    axes.axhline(row["f1"], color=colour, linewidth=0.9, linestyle=(0, (3, 1.2)), label=label)
    axes.axhspan(row["f1_low"], row["f1_high"], color=colour, alpha=0.06, linewidth=0)


def _label_axes(shares: Axes, scores: Axes) -> None:
    shares.set_ylabel("share of the tokens left,\nmean over layers")
    shares.set_ylim(0, 1.02)
    shares.yaxis.set_major_formatter(PercentFormatter(1.0))
    scores.set_ylabel("F1")
    scores.set_ylim(top=min(scores.get_ylim()[1], 1.02))
    scores.set_xlabel("weight λ of the regulariser, evenly spaced")
    for axes in (shares, scores):
        axes.grid(True)
    # take the legend from the lower panel, the only one with the line of the dense model
    style.legend_beside(shares, *scores.get_legend_handles_labels())
