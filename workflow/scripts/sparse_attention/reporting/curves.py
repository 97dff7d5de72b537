"""Group the points that readers explore into curves: a way for each table that a figure of points is drawn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from sparse_attention.plotting import sparse_mlm
from sparse_attention.plotting.predictor_styles import PredictorStyle, distinct_styles
from sparse_attention.plotting.pruning import SYSTEMS, compared_systems, marker_of, short_label
from sparse_attention.reporting.findings import predictor_name
from sparse_attention.reporting.inputs import Setting
from sparse_attention.summaries.sparse_mlm_jobs import FULL
from sparse_attention.summaries.wording import count, kept_tokens, spell, spell_pruning

SYMBOLS = {
    "o": "circle", "s": "square", "D": "diamond", "d": "diamond-tall", "^": "triangle-up", "v": "triangle-down",
    "<": "triangle-left", ">": "triangle-right", "P": "cross", "X": "x", "p": "pentagon", "h": "hexagon",
    "H": "hexagon2", "*": "star", "8": "octagon", "1": "y-down-open", "2": "y-up-open", "3": "y-left-open",
    "4": "y-right-open",
}  # fmt: skip
"""Markers of the figures by the names that plotly gives them."""


@dataclass(frozen=True)
class Curve:
    """Points that share a name and a style.

    Attributes
    ----------
    name : str
        Its entry in the legend.
    colour, symbol : str
        Its colour, and its marker by plotly's name.
    dashed : bool
        Whether its line is dashed.
    rows : pandas.DataFrame
        Its rows of the table, with the columns on the axes.
    settings : list of str
        What is said of each row beside its values.
    """

    name: str
    colour: str
    symbol: str
    dashed: bool
    rows: pd.DataFrame
    settings: list[str]


@dataclass(frozen=True)
class Points:
    """The points of a table that readers explore.

    Attributes
    ----------
    curves : list of Curve
        The curves, in the order of the legend.
    also : tuple of str
        Columns whose values are said of a point in every figure, beside those on its axes.
    levels : pandas.DataFrame
        Rows whose values are drawn as horizontal lines, with their names in a column `name`; may have no rows.
    """

    curves: list[Curve]
    also: tuple[str, ...] = ()
    levels: pd.DataFrame = field(default_factory=pd.DataFrame)


def of_predictors(table: pd.DataFrame, setting: Setting) -> Points:
    """Return a curve for each attention, predictor and projection, at the window and kept tokens of the figures."""
    rows = table[(table["window"] == setting.window) & (table["keep"] == setting.keep)]
    styles = distinct_styles(rows["predictor"])
    curves = [
        _curve(predictor_name(own.iloc[0], rows) + _where(own, rows), styles[own["predictor"].iloc[0]], own,
               [_settings(row["point"], row["projection"], *_kept(row)) for row in own.to_dict("records")])
        for _, own in rows.groupby(["attention", "predictor", "projection"], sort=False)
    ]  # fmt: skip
    return Points(curves)


def of_sparse_mlm(table: pd.DataFrame, _setting: Setting) -> Points:
    """Return a curve for each line and each kind of further training of the figures, and full attention as levels."""
    rows, full = table[table["predictor"] != FULL], table[(table["predictor"] == FULL) & (table["finetuned"] == 0)]
    styles, curves = sparse_mlm.styles(rows), []
    for _, own in rows.groupby(["attention", *sparse_mlm.LINE, "finetuned"], sort=False):
        first = own.iloc[0]
        name = ", ".join([predictor_name(first, rows), *_kept(first), *_changed(first)]) + _where(own, rows)
        drawn = styles[first["predictor"]]
        drawn = PredictorStyle(drawn.colour, "*", drawn.line) if first["finetuned"] else drawn
        said = [_settings(row["setting"], row["projection"]) for row in own.to_dict("records")]
        curves.append(_curve(name, drawn, own, said, hollow=bool(first["dense_empty_rows"])))
    # the loss of softmax is no point of comparison, so its increase is empty
    levels = full.assign(name="full attention, " + full["attention"].map(spell))
    return Points(curves, ("sparsity", "loss", "loss_increase", "perplexity"), levels)


def of_pruning(table: pd.DataFrame, _setting: Setting) -> Points:
    """Return a curve for each pruning and system of the figures."""
    rows = compared_systems(table)
    prunings, curves = list(rows["pruning"].unique()), []
    for (pruning, system), own in rows.groupby(["pruning", "system"], sort=False):
        label, colour = SYSTEMS[str(system)]
        several = len(prunings) > 1 and system != "dense"
        name = f"{label} ({short_label(pruning, rows['pruning'])})" if several else label
        own_style = PredictorStyle(colour, marker_of(prunings.index(pruning)))
        curves.append(
            _curve(name.replace("\n", " "), own_style, own, [_of_pruning(row) for row in own.to_dict("records")])
        )
    return Points(curves, ("kept_share",))


WAYS: Mapping[str, Callable[[pd.DataFrame, Setting], Points]] = {
    "predictors": of_predictors,
    "sparse_mlm": of_sparse_mlm,
    "pruning": of_pruning,
}
"""How the points of each table of `plotting.planned.EXPLORED` become curves."""


def _curve(name: str, drawn: PredictorStyle, rows: pd.DataFrame, settings: list[str], hollow: bool = False) -> Curve:
    symbol = SYMBOLS.get(drawn.marker, "circle")
    symbol += "-open" if hollow and not symbol.endswith("-open") else ""
    return Curve(name, drawn.colour, symbol, drawn.line != "-", rows, settings)


def _where(own: pd.DataFrame, among: pd.DataFrame) -> str:
    """Return the attention of a curve in brackets, if there are several."""
    return f" ({spell(own['attention'].iloc[0])})" if among["attention"].nunique() > 1 else ""


def _settings(point: Any, projection: str, *more: str) -> str:
    """Return the settings of a predictor's point for readers; a predictor without settings has a missing `point`."""
    own = spell(point) if isinstance(point, str) else ""
    return "; ".join(part for part in (own, spell(projection), *more) if part)


def _kept(row: Any) -> list[str]:
    """Return which pairs are kept in any case."""
    parts = [f"window {row['window']}" if row["window"] else "", kept_tokens(row["keep"])]
    return [part for part in parts if part]


def _changed(row: Any) -> list[str]:
    """Return how queries without keys are answered, and how long the model was trained further."""
    parts = ["queries without keys see all keys"] if row["dense_empty_rows"] else []
    return parts + ([count(row["finetuned"], "further step")] if row["finetuned"] else [])


def _of_pruning(row: Mapping[Any, Any]) -> str:
    if row["system"] == "dense":
        return ""
    return f"{spell_pruning(row['pruning'])}; tokens {'removed' if row['way'] == 'dropped' else 'hidden'}"
