"""Recall against sparsity where a window of neighbours is always kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sparse_attention.metrics.facts import compared_metrics
from sparse_attention.plotting import style
from sparse_attention.plotting.base import Plot
from sparse_attention.plotting.panels import draw, key, legend
from sparse_attention.plotting.pareto import (
    BOTTOM,
    HEAD,
    LEFT,
    RIGHT,
    TOGETHER,
    draw_key,
    key_height,
    setting_words,
)
from sparse_attention.plotting.pareto_points import SPARSITY, Comparison, best_first, compare, with_variants
from sparse_attention.plotting.predictor_looks import distinct, is_bound
from sparse_attention.summaries.wording import kept_tokens, spell

BEST = 6
"""Predictors that are drawn, the best at the configured window, when there are more than `TOGETHER`."""


class ParetoWindows(Plot):
    """Recall on equal axes, a panel per window, for one attention after the other."""

    name = "pareto_windows"
    title = "Recall against sparsity, by window"
    section = "windows"
    category = "The predictors"
    order = 10
    needs = ("predictors",)
    settings = ("figures.window", "figures.keep")
    caption = """
    Recall against sparsity with a window of neighbours that is always kept, on equal axes.
    A window raises recall where attention is local, and caps the sparsity that can be reached.
    Of many predictors only those are drawn whose points dominate the largest area at the window of the other
    figures; of several projections and block sizes each predictor shows its best.
    """

    def draw(self, tables: Mapping[str, pd.DataFrame], setting: Mapping[str, Any]) -> Figure:
        points = tables["predictors"]
        window, keep = setting["figures.window"], setting["figures.keep"]
        shared = compare(points[points["keep"] == keep], "recall", SPARSITY, points["predictor"], keep)
        rows, note = with_variants(shared.rows, one=True)
        real = rows[~is_bound(rows)]
        names = list(real["predictor"].unique())
        if len(names) > TOGETHER:
            at = real[real["window"] == window]
            best = best_first(at if len(at) else real, "recall")[:BEST]
            note = ", ".join([f"the best {BEST} of {len(names)} predictors", *([note] if note else [])])
            rows = rows[rows["predictor"].isin(best) | is_bound(rows)]
        shared = Comparison("recall", SPARSITY, rows, distinct(rows["predictor"]), note)
        attentions, windows = list(rows["attention"].unique()), sorted(rows["window"].unique())
        columns = min(len(windows), 2 if len(windows) in (2, 4) else 3)
        signs = key(shared, others=False)
        down, width = -(-len(windows) // columns) * len(attentions), style.WIDTH - LEFT - RIGHT
        with style.house_style():
            figure, axes = style.canvas(
                down,
                columns,
                (width / columns, 2.1),
                (LEFT, RIGHT, HEAD, BOTTOM + key_height(signs)),
                sharex=True,
                sharey=True,
                gridspec_kw={"wspace": 0.08, "hspace": 0.3},
            )
            for row, attention in zip(axes.reshape(len(attentions), -1), attentions, strict=True):
                prefix = "" if len(attentions) == 1 else f"{spell(attention)}, "
                _windows(row, shared, rows[rows["attention"] == attention], windows, columns, prefix)
            for panel in axes[:, 0]:
                panel.set_ylabel(compared_metrics()["recall"].title)
            legend(axes[0, -1], shared, rows[~is_bound(rows)], 21, 8, down * 2.1)
            bottom = (BOTTOM + key_height(signs) - 0.4) / figure.get_figheight()
            label = SPARSITY.label if columns > 1 else SPARSITY.short
            figure.text(LEFT / style.WIDTH, bottom, label, fontsize=8.5, va="bottom")
            statement = style.state(setting, rows, kept_tokens(keep), shared.note)
            style.head_line(figure, self.title, statement)
            draw_key(figure, signs)
        return figure


def _windows(
    panels: Any, shared: Comparison, rows: pd.DataFrame, windows: list[int], columns: int, prefix: str
) -> None:
    """Draw the panels of one attention; places that no window takes are removed."""
    panel: Axes
    for panel, window in zip(panels, windows, strict=False):
        at = rows[rows["window"] == window]
        draw(panel, shared, at[~is_bound(at)], at, small=True)
        style.panel_title(panel, prefix + setting_words(window, "none"))
    for panel in panels[len(windows) :]:
        panel.remove()
    for panel in panels[max(len(windows) - columns, 0) : len(windows)]:
        panel.tick_params(labelbottom=True)
