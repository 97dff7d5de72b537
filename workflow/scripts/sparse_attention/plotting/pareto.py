"""What predictors trade: a metric against what is saved, one curve per predictor, in panels of predictors alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from sparse_attention.metrics.facts import MetricFacts, compared_metrics
from sparse_attention.plotting import style
from sparse_attention.plotting.panels import draw, key, legend
from sparse_attention.plotting.pareto_points import SPARSITY, Across, Comparison, compare
from sparse_attention.plotting.predictor_looks import distinct, groups, is_bound
from sparse_attention.summaries.wording import kept_tokens, spell

METRICS = compared_metrics()
TOGETHER = 9
"""So many curves are still told apart in one panel; more are divided into groups."""
LEFT, RIGHT, BOTTOM, LINE = 0.55, 1.75, 0.5, 0.17
"""Margins, and the height of a line of the key, in inches; the legend stands in the right margin."""
HEAD, HIGH = 0.72, 3.5
"""Height of the title, and of a panel that stands alone."""
CELL, PANEL, ROW, TALL = 3.3, 1.9, 2.2, 1.75
"""Of a panel among others: width with and without its legend, height with and without its title."""


@dataclass(frozen=True)
class Panel:
    """What one panel shows: its own predictors, among everything in the same setting."""

    name: str
    own: pd.DataFrame
    everything: pd.DataFrame

    @property
    def others(self) -> bool:
        """Whether other panels show predictors of the same setting."""
        return bool((~is_bound(self.everything) & ~self.everything["predictor"].isin(self.own["predictor"])).any())


def tradeoff(points: pd.DataFrame, metric: str, setting: Mapping[str, Any], across: Across = SPARSITY) -> Figure:
    """Draw `metric` at one window: a panel for all predictors when they are few, else one per group; per attention.

    Parameters
    ----------
    points : pandas.DataFrame
        The table `predictors`.
    metric : str
        One by which predictors are compared.
    setting : mapping
        `figures.window` and `figures.keep`, which are drawn; `corpus` and `model`, for the line below the title.
    across : Across
        The horizontal axis.
    """
    window, keep = setting["figures.window"], setting["figures.keep"]
    chosen = points[(points["window"] == window) & (points["keep"] == keep)]
    shared = compare(chosen, metric, across, points["predictor"], f"window {window}, {keep}")
    rows = shared.rows
    title = f"{METRICS[metric].title} against {across.name}"
    statement = style.state(setting, rows, setting_words(window, keep), shared.note)
    if is_bound(rows).all():
        return style.blank(title, statement, "No predictor says what predicting costs.")
    few = _curves(rows) <= TOGETHER
    if few:
        shared = replace(shared, looks=distinct(rows["predictor"]))
    panels: list[Panel | None] = []
    for attention, own in rows.groupby("attention", sort=False):
        real = own[~is_bound(own)]
        prefix = [spell(attention)] if rows["attention"].nunique() > 1 else []
        alike = {"": real} if few else groups(real)
        panels += [Panel(": ".join([*prefix, *filter(None, [name])]), part, own) for name, part in alike.items()]
        if not few and len(panels) % 2:
            panels.append(None)
    with style.house_style():
        return (_large if len(panels) == 1 else _grouped)(panels, shared, title, statement)


def _with_meaning(title: str, metric: MetricFacts) -> str:
    return f"{title} ({metric.axis})" if metric.axis else title


def _curves(rows: pd.DataFrame) -> int:
    return len(rows[~is_bound(rows)].groupby(["predictor", "variant"]))


def setting_words(window: int, keep: str) -> str:
    """Say what is kept beside the supports."""
    near = f"window {window}" if window else "no window"
    return " · ".join(part for part in (near, kept_tokens(keep)) if part)


def _large(panels: list[Panel | None], shared: Comparison, title: str, statement: str) -> Figure:
    """Draw the only panel over the whole width."""
    signs = key(shared, others=False)
    figure, axes = style.canvas(
        1, 1, (style.WIDTH - LEFT - RIGHT, HIGH), (LEFT, RIGHT, HEAD, BOTTOM + key_height(signs))
    )
    panel, shown = axes[0, 0], panels[0]
    assert shown is not None
    draw(panel, shared, shown.own, shown.everything)
    legend(panel, shared, shown.own, 21, 8, HIGH)
    panel.set_xlabel(shared.across.label)
    panel.set_ylabel(_with_meaning(METRICS[shared.metric].title, METRICS[shared.metric]))
    style.head_line(figure, title, statement)
    draw_key(figure, signs)
    return figure


def _grouped(panels: list[Panel | None], shared: Comparison, title: str, statement: str) -> Figure:
    """Draw the panels in two columns, each with its legend beside it; the key stands in a place that is left."""
    signs = key(shared, others=any(panel is not None and panel.others for panel in panels))
    bottom = BOTTOM + (0 if panels[-1] is None else key_height(signs))
    down = -(-len(panels) // 2)
    height = HEAD + down * ROW - 0.2 + bottom
    figure = Figure(figsize=(style.WIDTH, height))
    for place, panel in enumerate(panels):
        row, column = divmod(place, 2)
        below = height - HEAD - 0.15 - row * ROW - TALL
        if panel is None:
            continue
        axes = figure.add_axes(style.inches(figure, (LEFT + column * CELL, below, PANEL, TALL)))
        draw(axes, shared, panel.own, panel.everything, small=True)
        legend(axes, shared, panel.own, 17, 6.8, ROW - 0.1)
        style.panel_title(axes, panel.name)
        if not column:
            axes.set_ylabel(METRICS[shared.metric].title)
    figure.text(LEFT / style.WIDTH, (bottom - 0.36) / height, shared.across.label, fontsize=8.5, va="bottom")
    style.head_line(figure, _with_meaning(title, METRICS[shared.metric]), statement)
    draw_key(figure, signs, None if panels[-1] is not None else (LEFT + CELL, bottom - 0.15 + TALL))
    return figure


def _columns(signs: list[Any]) -> int:
    return 3 if max(len(sign.get_label()) for sign in signs) <= 32 else 2


def key_height(signs: list[Any]) -> float:
    """Return the height of the key in inches."""
    return LINE * -(-len(signs) // _columns(signs))


def draw_key(figure: Figure, signs: list[Any], corner: tuple[float, float] | None = None) -> None:
    """Explain what all panels share: in a strip along the bottom, or in one column from an upper left corner."""
    at, columns = corner or (LEFT, 0.03), 1 if corner else _columns(signs)
    anchor = style.inches(figure, (*at, 0, 0))[:2]
    place: dict[str, Any] = {"loc": "upper left" if corner else "lower left", "bbox_to_anchor": anchor}
    figure.legend(handles=signs, ncols=columns, fontsize=7.5, handlelength=2.4, borderaxespad=0, borderpad=0, **place)
