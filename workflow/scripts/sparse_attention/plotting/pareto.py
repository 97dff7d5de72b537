"""What predictors trade: a metric against sparsity, one curve per predictor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator

from sparse_attention.errors import InputError
from sparse_attention.plotting import style
from sparse_attention.summaries.wording import kept_tokens, spell

NAMES = {"recall": "Recall", "mass_recall": "Mass recall", "exactness": "Exactness"}
MEANING = {
    "recall": "share of gold pairs that are predicted",
    "mass_recall": "share of gold probability that is predicted",
    "exactness": "share of queries with whole support predicted",
}
X_LABEL = "Sparsity (share of pairs that are skipped; logarithmic in the pairs that are kept)"
SHORT_X_LABEL = "Sparsity (logarithmic in the pairs kept)"
TICKS = (0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9998, 0.9999)
FEW_TICKS = (0, 0.5, 0.9, 0.99, 0.999, 0.9999)
LINES: tuple[Any, ...] = ("-", (0, (6, 1.2, 1, 1.2)), (0, (9, 2)), (0, (4, 1, 1, 1, 1, 1)))
LEFT, RIGHT, BOTTOM = 0.55, 1.75, 0.5
"""Margins in inches; the legend stands in the right one."""
HALO = [patheffects.withStroke(linewidth=2.2, foreground="white")]


def tradeoff(
    points: pd.DataFrame, fronts: pd.DataFrame, metric: str, window: int, keep: str, context: Mapping[str, Any]
) -> Figure:
    """Draw `metric` against sparsity at one window, a panel per attention.

    Parameters
    ----------
    points, fronts : pandas.DataFrame
        The tables `predictors` and `pareto`.
    metric : str
        `recall`, `mass_recall` or `exactness`.
    window, keep
        The setting that is drawn.
    context : mapping
        `corpus` and `model`, for the line below the title.
    """
    chosen = _drawable(points[(points["window"] == window) & (points["keep"] == keep)], f"window {window}, {keep}")
    attentions = list(chosen["attention"].unique())
    alone = len(attentions) == 1
    panel_size = (style.WIDTH - LEFT - RIGHT if alone else 3.6, 3.5)
    margins = (LEFT, RIGHT, 0.68 if alone else 0.9, BOTTOM)
    with style.house_style():
        figure, axes = style.canvas(
            1, len(attentions), panel_size, margins, sharex=True, sharey=True, gridspec_kw={"wspace": 0.08}
        )
        for panel, attention in zip(axes[0], attentions, strict=True):
            rows = chosen[chosen["attention"] == attention]
            _panel(panel, rows, fronts[fronts["attention"] == attention], metric, str(window))
            _axes(panel, chosen)
            panel.set_xlabel(X_LABEL if alone else SHORT_X_LABEL)
            if not alone:
                panel.set_title(spell(attention), fontweight="bold", y=1.04)
        axes[0, 0].set_ylabel(f"{NAMES[metric]} ({MEANING[metric]})")
        statement = style.state(context, chosen, _setting(window, keep))
        style.head_line(figure, f"{NAMES[metric]} against sparsity", statement)
        _legend(axes[0, -1], chosen, metric)
    return figure


def small_multiples(
    points: pd.DataFrame, fronts: pd.DataFrame, metric: str, keep: str, context: Mapping[str, Any]
) -> Figure:
    """Draw `metric` against sparsity on equal axes, a panel per window, for one attention after the other.

    Parameters
    ----------
    points, fronts, metric, keep, context
        As for `tradeoff`.
    """
    chosen = _drawable(points[points["keep"] == keep], keep)
    attentions, windows = list(chosen["attention"].unique()), sorted(chosen["window"].unique())
    columns = min(len(windows), 2 if len(windows) in (2, 4) else 3)
    down = -(-len(windows) // columns) * len(attentions)
    width, gaps = style.WIDTH - LEFT - RIGHT, {"wspace": 0.08, "hspace": 0.3}
    with style.house_style():
        figure, axes = style.canvas(
            down,
            columns,
            (width / columns, 2.1),
            (LEFT, RIGHT, 0.68, BOTTOM),
            sharex=True,
            sharey=True,
            gridspec_kw=gaps,
        )
        for row, attention in zip(axes.reshape(len(attentions), -1), attentions, strict=True):
            own = chosen[chosen["attention"] == attention]
            for panel, window in zip(row, windows, strict=False):
                rows = own[own["window"] == window]
                _panel(panel, rows, fronts[fronts["attention"] == attention], metric, str(window), small=True)
                _axes(panel, chosen, small=True)
                prefix = "" if len(attentions) == 1 else f"{spell(attention)}, "
                style.panel_title(panel, prefix + _setting(window, "none"))
            for panel in row[len(windows) :]:
                panel.remove()
            for panel in row[max(len(windows) - columns, 0) : len(windows)]:
                panel.tick_params(labelbottom=True)
        for panel in axes[:, 0]:
            panel.set_ylabel(NAMES[metric])
        middle = (LEFT + width / 2) / style.WIDTH
        figure.supxlabel(
            X_LABEL if columns > 1 else SHORT_X_LABEL, fontsize=8.5, x=middle, y=0.09 / figure.get_figheight()
        )
        style.head_line(
            figure, f"{NAMES[metric]} against sparsity, by window", style.state(context, chosen, kept_tokens(keep))
        )
        _legend(axes[0, -1], chosen, metric)
    return figure


def _drawable(points: pd.DataFrame, setting: str) -> pd.DataFrame:
    """Return the points that have a place on a logarithmic axis: those that keep at least one pair."""
    chosen = points[points["sparsity"] < 1]
    if chosen.empty:
        raise InputError(f"figures.window: no predictor was evaluated at {setting}")
    return chosen


def _setting(window: int, keep: str) -> str:
    near = f"window {window}" if window else "no window"
    return " · ".join(part for part in (near, kept_tokens(keep)) if part)


def _kept(sparsity: pd.Series) -> np.ndarray:
    return 1 - sparsity.to_numpy(dtype=float)


def _learned(rows: pd.DataFrame) -> list[str]:
    """Return the learned projections in order: the first is drawn as usual, the others with lines of their own."""
    return [str(name) for name in rows["projection"].unique() if name != "kind~none"]


def _panel(axes: Axes, rows: pd.DataFrame, fronts: pd.DataFrame, metric: str, window: str, small: bool = False) -> None:
    """Draw every curve of one panel: dominated points faint, fronts solid, bounds grey, gold sparsity as a line."""
    fronts = fronts[(fronts["metric"] == metric) & (fronts["windows"] == window) & (fronts["front"] == "predictor")]
    fronts = fronts[fronts["keep"].isin(rows["keep"]) & (fronts["sparsity"] < 1)]
    looks = style.looks(rows["predictor"])
    learned = _learned(rows)
    for names, series in rows.groupby(["predictor", "projection"], sort=False):
        predictor, projection = (str(name) for name in names)
        if series["bound"].notna().any():
            _bound(axes, series.sort_values("sparsity"), metric, looks[predictor], direct_label=not small)
            continue
        own = fronts[(fronts["predictor"] == predictor) & (fronts["projection"] == projection)]
        look = looks[predictor]
        drawn: dict[str, Any] = {"color": look.colour, "marker": look.marker, "markersize": 3.6 if small else 5}
        drawn |= {
            "markeredgecolor": "white" if look.filled else look.colour,
            "markeredgewidth": 0.5 if look.filled else 1,
        }
        on_front = series["point"].isin(own["point"])
        dominated = series[~on_front]
        axes.plot(_kept(dominated["sparsity"]), dominated[metric], linestyle="", alpha=0.35, zorder=3, **drawn)
        line = look.line if projection not in learned[1:] else LINES[learned.index(projection) % len(LINES)]
        axes.plot(
            _kept(own["sparsity"]), own["value"], linestyle=line, zorder=4, linewidth=1.1 if small else 1.5, **drawn
        )
        _intervals(axes, series[on_front], metric, look.colour)
    _gold(axes, rows, small)


def _intervals(axes: Axes, series: pd.DataFrame, metric: str, colour: str) -> None:
    known = series[series[f"{metric}_ci95"].notna()]
    if len(known):
        axes.errorbar(
            _kept(known["sparsity"]),
            known[metric],
            xerr=known["sparsity_ci95"],
            yerr=known[f"{metric}_ci95"],
            fmt="none",
            ecolor=colour,
            elinewidth=0.7,
            alpha=0.7,
            zorder=2,
        )


def _bound(axes: Axes, series: pd.DataFrame, metric: str, look: style.Look, direct_label: bool) -> None:
    """Draw a bound; its name stands outside the band between the bounds, where curves hardly come."""
    kept, values = _kept(series["sparsity"]), series[metric].to_numpy(dtype=float)
    axes.plot(kept, values, color=look.colour, linestyle=look.line, linewidth=1.3, zorder=1.5)
    if not direct_label:
        return
    upper = series["bound"].iloc[0] == "upper"
    middle = int(np.abs(values - (0.8 if upper else 0.12)).argmin())
    axes.annotate(
        series["label"].iloc[0],
        (kept[middle], values[middle]),
        xytext=(4, 2) if upper else (-3, -3),
        textcoords="offset points",
        color=style.MUTED,
        fontsize=7.5,
        ha="left" if upper else "right",
        va="bottom" if upper else "top",
        path_effects=HALO,
        zorder=6,
    )


def _gold(axes: Axes, rows: pd.DataFrame, small: bool) -> None:
    gold = float(rows["gold_sparsity"].mean())
    if not 0 <= gold < 1:
        return
    axes.axvline(1 - gold, color=style.MUTED, linewidth=0.8, zorder=1)
    if not small:
        place: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "ha": "center", "va": "bottom"}
        axes.text(1 - gold, 1.012, f"gold support: {gold:.1%}", color=style.MUTED, fontsize=7.5, **place)


def _axes(axes: Axes, everything: pd.DataFrame, small: bool = False) -> None:
    """Set the axes so that all panels of a figure, which show parts of `everything`, agree."""
    kept = np.append(_kept(everything["sparsity"]), 1 - everything["gold_sparsity"][everything["gold_sparsity"] < 1])
    left, right = min(kept.max() * 1.18, 1.0), kept.min() / (1.3 if small else 1.55)
    axes.set_xscale("log")
    axes.set_xlim(left, right)
    axes.set_ylim(-0.02, 1.02)
    levels = [level for level in (FEW_TICKS if small else TICKS) if right <= 1 - level <= left]
    axes.set_xticks([1 - level for level in levels] if len(levels) > 1 else np.geomspace(left, right, 5)[1:-1])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * (1 - value):.4g}%"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(True)


def _legend(beside: Axes, rows: pd.DataFrame, metric: str) -> None:
    """Name the curves right of the panels, the best first, as the eye meets them."""
    looks, learned = style.looks(rows["predictor"]), _learned(rows)
    real = rows[rows["bound"].isna()]
    merit = (real[metric] + real["sparsity"]).groupby([real["predictor"], real["label"]], sort=False).max()
    handles = []
    for names in merit.sort_values(ascending=False, kind="stable").index:
        look = looks[names[0]]
        edge: dict[str, Any] = {"markeredgecolor": "white", "markeredgewidth": 0.5} if look.filled else {}
        handles.append(
            Line2D([], [], color=look.colour, marker=look.marker, linestyle=look.line, label=names[1], **edge)
        )
    if len(learned) > 1:
        for index, name in enumerate(learned):
            line = LINES[index % len(LINES)]
            handles.append(Line2D([], [], color=style.MUTED, linestyle=line, label=spell(name)))
    if rows["bound"].notna().any():
        handles.append(Line2D([], [], color=style.BOUND, linestyle=style.DOTTED, label="bounds"))
    handles.append(Line2D([], [], color=style.MUTED, linewidth=0.8, label="gold sparsity"))
    handles.append(Line2D([], [], color=style.MUTED, marker="o", linestyle="", alpha=0.35, label="dominated point"))
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.02, 1.0), "borderaxespad": 0}
    beside.legend(handles=handles, handlelength=2.6, labelspacing=0.55, **place)
