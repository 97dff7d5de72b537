"""Write tables as LaTeX (booktabs), as a paper would print them."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from sparse_attention.files.atomic import atomic_path
from sparse_attention.metrics.facts import compared_metrics
from sparse_attention.summaries.wording import spell

SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    c: f"\\{c}" for c in "&%$#_{}"
}


def escape(text: str) -> str:
    """Return `text` with the special characters of LaTeX escaped."""
    return "".join(SPECIAL.get(character, character) for character in text)


def number(value: float, half_width: float = float("nan"), digits: int = 3) -> str:
    """Format a value, with half the width of its interval when there is one; a missing value becomes a dash."""
    if pd.isna(value):
        return "--"
    interval = "" if pd.isna(half_width) else f" \\pm {half_width:.{digits}f}"
    return f"${value:.{digits}f}{interval}$"


def tabular(groups: Sequence[tuple[str, Sequence[str]]], rows: Sequence[Sequence[str]], note: str) -> str:
    """Return a booktabs `tabular` with its first column left-aligned, the others right-aligned.

    Parameters
    ----------
    groups : sequence of (str, sequence of str)
        Spanning header of each group of columns (may be empty), and the headers of its columns.
    rows : sequence of sequence of str
        Cells, which must be LaTeX already.
    note : str
        What the table holds, a comment in the first line.
    """
    headers = [header for _, columns in groups for header in columns]
    lines = [f"% {note}", f"\\begin{{tabular}}{{l{'r' * (len(headers) - 1)}}}", r"\toprule"]
    if any(title for title, _ in groups):
        lines.append(
            " & ".join(f"\\multicolumn{{{len(columns)}}}{{c}}{{{title}}}" for title, columns in groups) + r" \\"
        )
        start = 1
        for title, columns in groups:
            if title:
                lines.append(f"\\cmidrule(lr){{{start}-{start + len(columns) - 1}}}")
            start += len(columns)
    lines += [" & ".join(headers) + r" \\", r"\midrule", *(" & ".join(row) + r" \\" for row in rows)]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


METRICS = {name: escape(metric.title) for name, metric in compared_metrics().items()}
INTERVALS = "plus or minus half the 95 % bootstrap interval over documents and seeds"


def comparison(table: pd.DataFrame, windows: str, keep: str) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return the rows of one window and keep, and the columns that identify their series, with headers."""
    chosen = table[(table["windows"].astype(str) == windows) & (table["keep"] == keep)]
    several = chosen.groupby("predictor")["projection"].nunique().max() > 1 or chosen["projection"].nunique() > 2
    identity = {"label": "Predictor"}
    identity |= {"projection": "Projection"} if several else {}
    identity |= {"attention": "Attention"} if chosen["attention"].nunique() > 1 else {}
    return chosen, identity


def value(row: Any, column: str, digits: int) -> str:
    """Format the value of a column with half the width of its bootstrap interval."""
    return number(row[column], (row[f"{column}_high"] - row[f"{column}_low"]) / 2, digits)


def words_of(setting: Mapping[str, Any]) -> str:
    """Return the window and the kept tokens of a table as text."""
    return f"windows: {setting['figures.window']}, keep: {setting['figures.keep']}"


def plain(table: pd.DataFrame, name: str) -> str:
    """Return a whole table: `<column>_ci95` is joined to its column, and path segments are written as in the report."""
    columns = [str(column) for column in table.columns if not str(column).endswith("_ci95")]
    rows = [[_cell(row, column) for column in columns] for row in table.to_dict("records")]
    headers = [escape(column.replace("_", " ")) for column in columns]
    note = f"results/tables/{name}.tsv; with several seeds, plus or minus half the 95 % interval over seeds."
    return tabular([("", headers)], rows, note)


def _cell(row: Mapping[Hashable, Any], column: str) -> str:
    value = row[column]
    if isinstance(value, str):
        return escape(spell(value) if column in ("attention", "projection", "point") else value)
    if pd.isna(value) or float(value).is_integer():
        return "--" if pd.isna(value) else f"${int(value)}$"
    return number(value, row.get(f"{column}_ci95", float("nan")))


def write(text: str, path: str | os.PathLike[str]) -> None:
    """Write `text` to `path`, which appears only when it is complete."""
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")
