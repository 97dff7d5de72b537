"""Figure: recall against sparsity, a panel for each window of neighbours that is always kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sparse_attention.metrics.facts import compared_metrics
from sparse_attention.plotting import style
from sparse_attention.plotting.base import Plot
from sparse_attention.plotting.panels import draw_legend, draw_panel, key_handles
from sparse_attention.plotting.pareto import (
    BOTTOM,
    HEAD,
    LEFT,
    MOST_IN_ONE_PANEL,
    RIGHT,
    draw_key,
    key_height,
    setting_words,
)
from sparse_attention.plotting.pareto_points import SPARSITY, Comparison, best_first, compare, with_variants
from sparse_attention.plotting.predictor_styles import distinct_styles, is_bound
from sparse_attention.summaries.wording import kept_tokens, spell

BEST = 6
"""If there are more than `MOST_IN_ONE_PANEL` predictors, only so many are drawn: the best at the configured window."""


class ParetoWindows(Plot):
    """Recall against sparsity on equal axes: for each attention, a panel per window."""

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
    If there are many predictors, only those with the largest hypervolume at the window of the other figures are
    drawn. Each predictor is drawn with the best of its projections and block sizes.
    """

    def draw(self, tables: Mapping[str, pd.DataFrame], setting: Mapping[str, Any]) -> Figure:
        points = tables["predictors"]
        window, keep = setting["figures.window"], setting["figures.keep"]
        comparison = compare(points[points["keep"] == keep], "recall", SPARSITY, points["predictor"], keep)
        rows, note = with_variants(comparison.rows, merge=True)
        real = rows[~is_bound(rows)]
        names = list(real["predictor"].unique())
        if len(names) > MOST_IN_ONE_PANEL:
            at = real[real["window"] == window]
            best = best_first(at if len(at) else real, "recall")[:BEST]
            note = ", ".join([f"the best {BEST} of {len(names)} predictors", *([note] if note else [])])
            rows = rows[rows["predictor"].isin(best) | is_bound(rows)]
        comparison = Comparison("recall", SPARSITY, rows, distinct_styles(rows["predictor"]), note)
        attentions, windows = list(rows["attention"].unique()), sorted(rows["window"].unique())
        columns = min(len(windows), 2 if len(windows) in (2, 4) else 3)
        handles = key_handles(comparison, others=False)
        down, width = -(-len(windows) // columns) * len(attentions), style.WIDTH - LEFT - RIGHT
        with style.house_style():
            figure, axes = style.canvas(
                down,
                columns,
                (width / columns, 2.1),
                (LEFT, RIGHT, HEAD, BOTTOM + key_height(handles)),
                sharex=True,
                sharey=True,
                gridspec_kw={"wspace": 0.08, "hspace": 0.3},
            )
            for row, attention in zip(axes.reshape(len(attentions), -1), attentions, strict=True):
                prefix = "" if len(attentions) == 1 else f"{spell(attention)}, "
                _draw_windows(row, comparison, rows[rows["attention"] == attention], windows, columns, prefix)
            for panel in axes[:, 0]:
                panel.set_ylabel(compared_metrics()["recall"].title)
            draw_legend(axes[0, -1], comparison, rows[~is_bound(rows)], 21, 8, down * 2.1)
            bottom = (BOTTOM + key_height(handles) - 0.4) / figure.get_figheight()
            label = SPARSITY.label if columns > 1 else SPARSITY.short
            figure.text(LEFT / style.WIDTH, bottom, label, fontsize=8.5, va="bottom")
            description = style.describe_data(setting, rows, kept_tokens(keep), comparison.note)
            style.draw_title(figure, self.title, description)
            draw_key(figure, handles)
        return figure


def _draw_windows(
    panels: Any, comparison: Comparison, rows: pd.DataFrame, windows: list[int], columns: int, prefix: str
) -> None:
    """Draw the panels of one attention and remove axes that no window uses."""
    panel: Axes
    for panel, window in zip(panels, windows, strict=False):
        at = rows[rows["window"] == window]
        draw_panel(panel, comparison, at[~is_bound(at)], at, small=True)
        style.panel_title(panel, prefix + setting_words(window, "none"))
    for panel in panels[len(windows) :]:
        panel.remove()
    for panel in panels[max(len(windows) - columns, 0) : len(windows)]:
        panel.tick_params(labelbottom=True)
