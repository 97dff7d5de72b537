"""Draw a metric against sparsity or computation sparsity: a curve per predictor, a panel per group of predictors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from sparse_attention.metrics.facts import MetricFacts, compared_metrics
from sparse_attention.plotting import style
from sparse_attention.plotting.panels import draw_legend, draw_panel, key_handles
from sparse_attention.plotting.pareto_points import SPARSITY, Comparison, XAxis, compare
from sparse_attention.plotting.predictor_styles import distinct_styles, groups, is_bound
from sparse_attention.summaries.wording import kept_tokens, spell

METRICS = compared_metrics()
MOST_IN_ONE_PANEL = 9
"""The largest number of curves in one panel; more curves are divided into a panel for each group."""
LEFT, RIGHT, BOTTOM, LINE = 0.55, 1.75, 0.5, 0.17
"""Margins and the height of a line of the shared legend, in inches; a panel's own legend is in the right margin."""
HEAD, HIGH = 0.72, 3.5
"""Height of the title, and of a panel that is alone in its figure, in inches."""
CELL, PANEL, ROW, TALL = 3.3, 1.9, 2.2, 1.75
"""Size of a panel among others, in inches: width with and without its legend, height with and without its title."""


@dataclass(frozen=True)
class Panel:
    """The name of a panel, the rows of its own predictors, and the rows of all predictors in the same setting."""

    name: str
    own: pd.DataFrame
    everything: pd.DataFrame

    @property
    def others(self) -> bool:
        """Whether other panels show predictors of the same setting."""
        return bool((~is_bound(self.everything) & ~self.everything["predictor"].isin(self.own["predictor"])).any())


def tradeoff(points: pd.DataFrame, metric: str, setting: Mapping[str, Any], x_axis: XAxis = SPARSITY) -> Figure:
    """Draw `metric` against `x_axis` at one window.

    Each attention has one panel if there are few predictors, and otherwise a panel for each group.

    Parameters
    ----------
    points : pandas.DataFrame
        The table `predictors`.
    metric : str
        One of the metrics that are compared, a column of `points`.
    setting : mapping
        `figures.window` and `figures.keep`, which select the rows; `corpus` and `model`, for the line below the title.
    x_axis : XAxis
        The horizontal axis.
    """
    window, keep = setting["figures.window"], setting["figures.keep"]
    chosen = points[(points["window"] == window) & (points["keep"] == keep)]
    comparison = compare(chosen, metric, x_axis, points["predictor"], f"window {window}, {keep}")
    rows = comparison.rows
    title = f"{METRICS[metric].title} against {x_axis.name}"
    description = style.describe_data(setting, rows, setting_words(window, keep), comparison.note)
    if is_bound(rows).all():
        return style.blank_figure(title, description, "No predictor says what predicting costs.")
    few = _number_of_curves(rows) <= MOST_IN_ONE_PANEL
    if few:
        comparison = replace(comparison, styles=distinct_styles(rows["predictor"]))
    panels: list[Panel | None] = []
    for attention, own in rows.groupby("attention", sort=False):
        real = own[~is_bound(own)]
        prefix = [spell(attention)] if rows["attention"].nunique() > 1 else []
        parts = {"": real} if few else groups(real)
        panels += [Panel(": ".join([*prefix, *filter(None, [name])]), part, own) for name, part in parts.items()]
        if not few and len(panels) % 2:
            panels.append(None)
    with style.house_style():
        return (_draw_one_panel if len(panels) == 1 else _draw_panels)(panels, comparison, title, description)


def _with_meaning(title: str, metric: MetricFacts) -> str:
    return f"{title} ({metric.axis})" if metric.axis else title


def _number_of_curves(rows: pd.DataFrame) -> int:
    return len(rows[~is_bound(rows)].groupby(["predictor", "variant"]))


def setting_words(window: int, keep: str) -> str:
    """Name the pairs that are kept in addition to the predicted support: the window and the kept tokens."""
    near = f"window {window}" if window else "no window"
    return " · ".join(part for part in (near, kept_tokens(keep)) if part)


def _draw_one_panel(panels: list[Panel | None], comparison: Comparison, title: str, description: str) -> Figure:
    """Draw a single panel over the whole width."""
    handles = key_handles(comparison, others=False)
    figure, axes = style.canvas(
        1, 1, (style.WIDTH - LEFT - RIGHT, HIGH), (LEFT, RIGHT, HEAD, BOTTOM + key_height(handles))
    )
    panel, shown = axes[0, 0], panels[0]
    assert shown is not None
    draw_panel(panel, comparison, shown.own, shown.everything)
    draw_legend(panel, comparison, shown.own, 21, 8, HIGH)
    panel.set_xlabel(comparison.x_axis.label)
    panel.set_ylabel(_with_meaning(METRICS[comparison.metric].title, METRICS[comparison.metric]))
    style.draw_title(figure, title, description)
    draw_key(figure, handles)
    return figure


def _draw_panels(panels: list[Panel | None], comparison: Comparison, title: str, description: str) -> Figure:
    """Draw panels in two columns with a legend each; the shared legend takes a free place if there is one."""
    handles = key_handles(comparison, others=any(panel is not None and panel.others for panel in panels))
    bottom = BOTTOM + (0 if panels[-1] is None else key_height(handles))
    down = -(-len(panels) // 2)
    height = HEAD + down * ROW - 0.2 + bottom
    figure = Figure(figsize=(style.WIDTH, height))
    for place, panel in enumerate(panels):
        row, column = divmod(place, 2)
        below = height - HEAD - 0.15 - row * ROW - TALL
        if panel is None:
            continue
        axes = figure.add_axes(style.figure_shares(figure, (LEFT + column * CELL, below, PANEL, TALL)))
        draw_panel(axes, comparison, panel.own, panel.everything, small=True)
        draw_legend(axes, comparison, panel.own, 17, 6.8, ROW - 0.1)
        style.panel_title(axes, panel.name)
        if not column:
            axes.set_ylabel(METRICS[comparison.metric].title)
    figure.text(LEFT / style.WIDTH, (bottom - 0.36) / height, comparison.x_axis.label, fontsize=8.5, va="bottom")
    style.draw_title(figure, _with_meaning(title, METRICS[comparison.metric]), description)
    draw_key(figure, handles, None if panels[-1] is not None else (LEFT + CELL, bottom - 0.15 + TALL))
    return figure


def _columns(handles: list[Any]) -> int:
    return 3 if max(len(handle.get_label()) for handle in handles) <= 32 else 2


def key_height(handles: list[Any]) -> float:
    """Return the height of the shared legend in inches."""
    return LINE * -(-len(handles) // _columns(handles))


def draw_key(figure: Figure, handles: list[Any], corner: tuple[float, float] | None = None) -> None:
    """Draw the shared legend along the bottom of the figure, or as one column below an upper left corner in inches."""
    at, columns = corner or (LEFT, 0.03), 1 if corner else _columns(handles)
    anchor = style.figure_shares(figure, (*at, 0, 0))[:2]
    place: dict[str, Any] = {"loc": "upper left" if corner else "lower left", "bbox_to_anchor": anchor}
    figure.legend(handles=handles, ncols=columns, fontsize=7.5, handlelength=2.4, borderaxespad=0, borderpad=0, **place)
