"""Prepare tables for the report: headers, the text of cells, and the keys that cells are sorted by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from sparse_attention.metrics.facts import compared_metrics, support_metrics
from sparse_attention.reporting.findings import compared_rows, format_number, half_width
from sparse_attention.summaries.wording import spell, spell_pruning

HEADERS = {name: metric.words for name, metric in support_metrics().items()} | {
    "label": "predictor",
    "bits_per_character": "bits/char.",
    "unigram_loss": "unigram loss",
    "nats_below_unigram": "below unigram",
    "masked_tokens": "masked tokens",
    "support_size": "keys per query",
    "ends_share": "pairs on first and last token",
    "ends_mass": "mass on first and last token",
    "dropped_tokens": "dropped tokens",
    "at_sparsity": "at sparsity",
    "second_label": "second",
    "second_recall": "recall of the second",
    "as_published": "as published",
    "dense_empty_rows": "dense where empty",
    "finetuned": "further steps",
    "loss_increase": "loss increase",
    "loss_increase_low": "increase from",
    "loss_increase_high": "to",
    "output_error": "output error",
    "empty_queries": "empty queries",
    "predict_ms": "predict, ms",
    "build_ms": "build, ms",
    "attend_ms": "attend, ms",
    "total_ms": "total, ms",
    "sdpa_ms": "SDPA, ms",
    "peak_mib": "peak, MiB",
    "total_s": "total, s",
    "longest_s": "longest, s",
    "cpu_s": "all cores, s",
    "peak_memory_mib": "most memory, MiB",
    "faster_than_sdpa": "beats SDPA from",
    "faster_than_entmax": "beats dense entmax from",
}
"""Headers of columns; other columns are named like in the table, with spaces for underscores."""
DIGITS = {
    "perplexity": 1, "edges": 0, "support_size": 1, "before": 5, "after": 5,
    "q25": 0, "median": 0, "q75": 0, "milliseconds_per_function": 1, "functions_per_second": 1, "speedup": 2,
    "asked": 2, "predict_ms": 2, "build_ms": 2, "attend_ms": 2, "total_ms": 2, "sdpa_ms": 2, "peak_mib": 1,
    "total_s": 1, "longest_s": 1, "cpu_s": 1, "peak_memory_mib": 0,
}  # fmt: skip
"""Number of decimals of columns that do not have 3."""
WORDED = ("attention", "projection", "point", "setting", "second_projection", "quirk", "subject", "metric", "keep")
"""Columns of path segments and names, which are written in words."""
FORMATTERS: dict[str, Callable[[str], str]] = {**dict.fromkeys(WORDED, spell), "pruning": spell_pruning}
INTEGERS = (
    "documents",
    "characters",
    "tokens",
    "blocks",
    "masked_tokens",
    "dropped_tokens",
    "examples",
    "seeds",
    "layer",
    "layers",
    "head",
    "window",
    "length",
    "block",
    "faster_than_sdpa",
    "faster_than_entmax",
)
"""Columns of whole numbers."""
METRICS = {name: metric.words for name, metric in compared_metrics().items()}
SERIES = ("attention", "predictor", "projection")
"""Columns that identify a curve of points."""


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes
    ----------
    text, interval : str
        What is shown; the interval in smaller letters.
    key : str
        What the cell is sorted and downloaded by; empty if the value is missing.
    numeric, best : bool
        Whether it holds a number, and whether that is the best of its column.
    half : str
        Half the width of the value's interval, in full; empty if there is none.
    """

    text: str
    key: str = ""
    numeric: bool = False
    best: bool = False
    interval: str = ""
    half: str = ""


@dataclass(frozen=True)
class Table:
    """A table of the report.

    Attributes
    ----------
    name, title, caption : str
        The table's name in the page's links, its heading, and the text below the heading.
    headers : sequence of str
        Headers of the columns.
    rows : sequence of sequences of Cell
        The cells.
    groups : sequence of (str, int)
        Headers that span several columns, with their number of columns; empty without such a row.
    section : str
        The section of the report that shows the table.
    folded : str
        The text to click on to unfold the table; empty if the table is always visible.
    files : str
        The files of the table, relative to the report.
    """

    name: str
    headers: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    groups: Sequence[tuple[str, int]] = ()
    title: str = ""
    caption: str = ""
    section: str = ""
    folded: str = ""
    files: str = ""


def _cell(column: str, row: Any) -> Cell:
    value = row[column]
    if isinstance(value, str):
        to_words = FORMATTERS.get(column)
        return Cell(to_words(value) or "–" if to_words else value, value)
    if isinstance(value, bool):
        answer = "yes" if value else "no"
        return Cell(answer, answer)
    if pd.isna(value):
        return Cell("–", "", True)
    if column in INTEGERS or column.startswith(("characters_", "tokens_", "lines_")) or isinstance(value, int):
        return Cell(f"{value:,.0f}", f"{value:g}", True)
    interval = row.get(f"{column}_ci95", float("nan"))
    text = format_number(value, interval, DIGITS.get(column, 3))
    return Cell(text, repr(float(value)), True, half="" if pd.isna(interval) else repr(float(interval)))


def plain_table(name: str, frame: pd.DataFrame, leave_out: Sequence[str] = ()) -> Table:
    """Return a table with the rows of `frame` unchanged.

    A column `<column>_ci95` is shown as the interval of `<column>`. The columns in `leave_out` are left out, and so is
    a first column with the attention or pruning if it has only one value.
    """
    columns = [name for name in frame.columns if not str(name).endswith("_ci95") and name not in leave_out]
    if len(columns) > 1 and columns[0] in ("attention", "pruning") and frame[columns[0]].nunique() == 1:
        columns = columns[1:]
    text = {column for column in columns if any(isinstance(value, str) for value in frame[column])}
    rows = [
        [
            replace(cell, numeric=False) if column in text else cell
            for column in columns
            for cell in [_cell(column, row)]
        ]
        for row in frame.to_dict("records")
    ]
    # without predictors, the column `label` is that of a method of attention or of a function
    headers = HEADERS if "predictor" in frame else {**HEADERS, "label": "method" if "method" in frame else "label"}
    return Table(name, [headers.get(name, str(name).replace("_", " ")) for name in columns], rows)


def sparsity_table(name: str, fixed: pd.DataFrame, windows: str, keep: str) -> Table:
    """Return a table of the compared metrics at fixed sparsities: a row per predictor, the best values marked.

    Parameters
    ----------
    fixed : pandas.DataFrame
        The table `predictors_at_sparsity`.
    windows, keep : str
        The window and the kept tokens of the rows to show.
    """
    chosen = _at_setting(fixed, windows, keep)
    levels = sorted(chosen["at_sparsity"].unique())
    identifying = _identifying_columns(chosen)
    real = chosen[chosen["bound"].isna()]
    best = {(m, a, at): _best(own[m]) for m in METRICS for (a, at), own in real.groupby(["attention", "at_sparsity"])}
    found = compared_rows(fixed, windows, keep)
    # rank by recall at the sparsity of the comparison, then at the lowest sparsity, which most predictors reach
    order = sorted(levels, key=lambda level: (found is None or level != found[0], level))
    recall = chosen.pivot(index=list(SERIES), columns="at_sparsity", values="recall")[order]
    series_of = chosen.drop_duplicates(list(SERIES)).set_index(list(SERIES))[["bound"]].join(recall).reset_index()
    rows = []
    for names in _ranked_series(series_of, order):
        series = chosen[(chosen[list(SERIES)] == names).all(axis=1)]
        values, bound = series.set_index("at_sparsity"), series["bound"].notna().any()
        cells = [_cell(column, series.iloc[0]) for column in identifying]
        for metric in METRICS:
            for at in levels:
                row = values.loc[at]
                cells.append(_value_cell(row, metric, 2, not bound and row[metric] == best[metric, names[0], at]))
        rows.append(cells)
    shown = [f"{100 * at:.4g} %" for _ in METRICS for at in levels]
    headers = [*(HEADERS.get(column, column) for column in identifying), *shown]
    groups = [("", len(identifying)), *((f"{title} at sparsity", len(levels)) for title in METRICS.values())]
    return Table(name, headers, rows, groups)


def areas_table(name: str, table: pd.DataFrame, windows: str, keep: str) -> Table:
    """Return a table of the areas under the fronts and the hypervolumes, the largest area of recall first.

    Parameters
    ----------
    table : pandas.DataFrame
        The table `areas`.
    windows, keep : str
        The window and the kept tokens of the rows to show.
    """
    chosen = _at_setting(table, windows, keep)
    identifying, columns = (
        _identifying_columns(chosen),
        [f"{size}_{metric}" for size in ("area", "hypervolume") for metric in METRICS],
    )
    best = chosen[chosen["bound"].isna()].groupby("attention")[columns].agg(_best)
    rows = []
    for names in _ranked_series(chosen, ["area_recall"]):
        row = chosen[(chosen[list(SERIES)] == names).all(axis=1)].iloc[0]
        cells = [_cell(column, row) for column in identifying]
        for column in columns:
            cells.append(
                _value_cell(row, column, 3, pd.isna(row["bound"]) and row[column] == best.loc[names[0], column])
            )
        rows.append(cells)
    headers = [*(HEADERS.get(column, column) for column in identifying), *list(METRICS.values()) * 2]
    groups = [("", len(identifying)), ("area under the front", len(METRICS)), ("hypervolume", len(METRICS))]
    return Table(name, headers, rows, groups)


def _at_setting(table: pd.DataFrame, windows: str, keep: str) -> pd.DataFrame:
    return table[(table["windows"].astype(str) == windows) & (table["keep"] == keep)]


def _identifying_columns(rows: pd.DataFrame) -> list[str]:
    """Return the columns that identify a row: the label, and projection and attention where there are several."""
    learned = rows.loc[rows["projection"] != "kind~none", "projection"].nunique()
    several = {"projection": learned > 1, "attention": rows["attention"].nunique() > 1}
    return ["label", *(column for column, needed in several.items() if needed)]


def _best(values: pd.Series) -> float:
    """Return the highest value, or NaN if all values are equal, so that none is marked as the best."""
    return float(values.max()) if values.nunique() > 1 or len(values) == 1 else float("nan")


def _ranked_series(rows: pd.DataFrame, columns: Sequence[Any]) -> list[list[str]]:
    """Return the values of `SERIES` in each row, sorted by attention, then by falling `columns`; bounds are last."""
    attentions = list(rows["attention"].unique())
    keys = rows[list(columns)].assign(place=rows["attention"].map(attentions.index), bound=rows["bound"].notna())
    ascending = [True, True, *(False for _ in columns)]
    order = keys.sort_values(["place", "bound", *columns], ascending=ascending, kind="stable").index
    return rows.loc[order, list(SERIES)].to_numpy().tolist()


def _value_cell(row: Any, column: str, digits: int, best: bool) -> Cell:
    """Return a cell with a value and half the width of its interval."""
    if pd.isna(row[column]):
        return Cell("–", "", True)
    half = half_width(row, column)
    least = 10**-digits
    rounded = f"{half:.{digits}f}" if half >= least / 2 else f"<{least:g}"
    interval = f"±\N{NO-BREAK SPACE}{rounded}" if half > 0 else ""
    exact = "" if pd.isna(half) else repr(float(half))
    return Cell(format_number(row[column], digits=digits), repr(float(row[column])), True, bool(best), interval, exact)
