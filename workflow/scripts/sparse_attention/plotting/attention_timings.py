"""Draw time and memory of attention by length, of dense attention and of every predictor."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from sparse_attention.attention_timing.table import DENSE, ENTMAX, RUN, SDPA, label_of
from sparse_attention.errors import InputError
from sparse_attention.plotting import style
from sparse_attention.plotting.predictor_styles import BOUND_COLOUR, PredictorStyle, bound_of, distinct_styles
from sparse_attention.summaries.wording import spell

DENSE_LINES: dict[str, dict[str, Any]] = {
    SDPA: {"color": style.INK, "linewidth": 1.4, "linestyle": (0, (5, 2.5)), "zorder": 3},
    DENSE: {"color": style.GOLD, "linewidth": 1.6, "zorder": 3},
}
"""The lines of PyTorch's dense softmax attention and of our dense entmax attention."""
SMALLEST_MIB = 0.1
"""Less memory is drawn here, because a logarithmic axis has no place for zero."""
SIZE = 4.5


def draw_timings(table: pd.DataFrame, title: str, description: str) -> Figure:
    """Draw a column of panels for each model and asked share of blocks: time above, memory below where it is known.

    Of entmax and softmax over predicted blocks entmax is drawn where it was timed, of several block sizes the smallest,
    and of the two orders of a quantizer the one that is faster at the largest length.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of times, see `attention_timing.table`.
    title, description : str
        The title, and the beginning of the line below it.

    Raises
    ------
    InputError
        When no row is of attention over blocks.
    """
    lists, dense = _drawn(table)
    parts = list(lists.groupby([*RUN, "asked"], sort=False))
    measures = {"total_ms": "Time (ms)", "peak_mib": "Peak memory (MiB)"}
    if table["peak_mib"].isna().all():
        del measures["peak_mib"]
    styles = {name: _with_marker(name, own) for name, own in distinct_styles(lists["method"]).items()}
    with style.house_style():
        size, margins = (4.2 if len(parts) == 1 else 2.8, 2.6), (0.75, 2.05, 0.8, 0.5)
        figure, axes = style.canvas(len(measures), len(parts), size, margins, sharex=True, sharey="row")
        for place, ((attention, seed, _), own) in enumerate(parts):
            model = f"{spell(attention)}: " if lists["attention"].nunique() > 1 else ""
            style.panel_title(axes[0, place], f"{model}about {100 * own['asked'].iloc[0]:.3g} % of the blocks kept")
            beside = dense[(dense["attention"] == attention) & (dense["seed"] == seed)]
            for panel, measure in zip(axes[:, place], measures, strict=True):
                _draw_panel(panel, beside, own, measure, styles)
            axes[-1, place].set_xlabel("Tokens")
        for panel, label in zip(axes[:, 0], measures.values(), strict=True):
            panel.set_ylabel(label)
            _set_axes(panel, sorted(table["length"].unique()))
        handles = _legend(lists, styles)
        style.legend_beside(axes[0, -1], handles, [str(handle.get_label()) for handle in handles])
        block = lists["block"].iloc[0]
        words = f"{lists['computed'].iloc[0]} over blocks of {block} × {block} tokens"
        style.draw_title(figure, title, " · ".join(filter(None, [description, words])))
    return figure


def _drawn(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of predictors that are drawn, and those of dense attention; all have the columns of `RUN`."""
    table = table.assign(**{name: "" for name in RUN if name not in table})
    lists = table[table["block"] > 0]
    if lists.empty:
        raise InputError("attention_timings: no row is of attention over blocks; allowed: at least one to draw")
    lists = lists[lists["block"] == lists["block"].min()]
    lists = lists[lists["computed"] == (ENTMAX if ENTMAX in set(lists["computed"]) else lists["computed"].iloc[0])]
    is_entmax = (table["method"] == DENSE) & (table["computed"] == ENTMAX)
    return _faster_order(lists), table[(table["method"] == SDPA) | is_entmax]


def _faster_order(rows: pd.DataFrame) -> pd.DataFrame:
    """Return of each method the rows in the order of tokens that is faster at its largest length."""
    keys = [*RUN, "asked", "method"]
    longest = rows.loc[rows.groupby([*keys, "order"], sort=False)["length"].idxmax()]
    fastest = longest.loc[longest.groupby(keys, sort=False)["total_ms"].idxmin(), [*keys, "order"]]
    return rows.merge(fastest, on=[*keys, "order"])


def _with_marker(name: str, own: PredictorStyle) -> PredictorStyle:
    """Give bounds a marker that points to their side, because a line of one length has no other mark."""
    bound = bound_of(name)
    return PredictorStyle(BOUND_COLOUR, "^" if bound == "upper" else "v") if bound else own


def _draw_panel(
    axes: Axes, dense: pd.DataFrame, lists: pd.DataFrame, measure: str, styles: dict[str, PredictorStyle]
) -> None:
    for name, own in dense.groupby("method", sort=False):
        axes.plot(*_values(own, measure), **DENSE_LINES[str(name)])
    for name, own in lists.groupby("method", sort=False):
        axes.plot(*_values(own, measure), zorder=4, **_line(own, styles[str(name)]))
    axes.grid(True)


def _values(rows: pd.DataFrame, measure: str) -> tuple[pd.Series, pd.Series]:
    rows = rows.sort_values("length")
    values = rows[measure].astype(float)
    return rows["length"], values.clip(lower=SMALLEST_MIB) if measure == "peak_mib" else values


def _line(rows: pd.DataFrame, own: PredictorStyle) -> dict[str, Any]:
    """Return the arguments of a predictor's line; markers are hollow where tokens are sorted by bucket."""
    hollow = "buckets" in set(rows["order"])
    return {"linewidth": 1.2, **own.marker_arguments(SIZE, hollow=hollow)}


def _set_axes(axes: Axes, lengths: list[int]) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(FixedLocator(lengths))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(10))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def _legend(rows: pd.DataFrame, styles: dict[str, PredictorStyle]) -> list[Line2D]:
    handles = [Line2D([], [], label=label_of(SDPA), **DENSE_LINES[SDPA])]
    handles.append(Line2D([], [], label="Dense entmax", **DENSE_LINES[DENSE]))
    for name, own in rows.groupby("method", sort=False):
        handles.append(Line2D([], [], label=label_of(str(name)), **_line(own, styles[str(name)])))
    if (rows["order"] == "buckets").any():
        hollow = PredictorStyle(style.MUTED, "o").marker_arguments(SIZE, hollow=True)
        handles.append(Line2D([], [], linestyle="", label="hollow: tokens sorted\nby bucket", **hollow))
    return handles
