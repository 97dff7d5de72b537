"""Tables as the report shows them: headers, cells, and what they sort by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from sparse_attention.reporting.findings import number
from sparse_attention.summaries.wording import spell

HEADERS = {
    "label": "predictor",
    "bits_per_character": "bits/char.",
    "unigram_loss": "unigram loss",
    "nats_below_unigram": "below unigram",
    "gold_sparsity": "gold sparsity",
    "mass_recall": "mass recall",
    "masked_tokens": "masked tokens",
    "support_size": "keys per query",
    "dropped_tokens": "dropped tokens",
}
DIGITS = {"perplexity": 1, "edges": 0, "support_size": 1}
COUNTS = (
    "documents",
    "characters",
    "tokens",
    "blocks",
    "masked_tokens",
    "dropped_tokens",
    "examples",
    "seeds",
    "layer",
)


@dataclass(frozen=True)
class Cell:
    """One cell: its text, what it sorts by, whether it is a number, whether it is the best of its column."""

    text: str
    key: str = ""
    numeric: bool = False
    best: bool = False


@dataclass(frozen=True)
class Table:
    """A table: spanning headers `(title, columns)` (may be none), headers, rows, and what it is of."""

    name: str
    caption: str
    headers: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    groups: Sequence[tuple[str, int]] = field(default=())


def _cell(column: str, row: Any) -> Cell:
    value = row[column]
    if isinstance(value, str):
        return Cell(spell(value) or "–" if column in ("attention", "projection", "point") else value, value)
    if pd.isna(value):
        return Cell("–", "", True)
    if column in COUNTS or column.startswith(("characters_", "tokens_")) or isinstance(value, int):
        return Cell(f"{value:,.0f}", f"{value:g}", True)
    interval = row.get(f"{column}_ci95", float("nan"))
    return Cell(number(value, interval, DIGITS.get(column, 3)), repr(float(value)), True)


def plain(name: str, frame: pd.DataFrame, caption: str, leave_out: Sequence[str] = ()) -> Table:
    """Show a table as it is; each `<column>_ci95` joins its column."""
    columns = [name for name in frame.columns if not str(name).endswith("_ci95") and name not in leave_out]
    rows = [[_cell(column, row) for column in columns] for row in frame.to_dict("records")]
    return Table(name, caption, [HEADERS.get(name, str(name).replace("_", " ")) for name in columns], rows)


def at_sparsity(name: str, fixed: pd.DataFrame, caption: str, windows: str, keep: str) -> Table:
    """Show three metrics at fixed sparsities, a row per predictor; the best real predictor of each column stands out.

    Parameters
    ----------
    fixed : pandas.DataFrame
        The table `predictors_at_sparsity`.
    windows, keep : str
        The setting that is shown.
    """
    chosen = fixed[(fixed["windows"].astype(str) == windows) & (fixed["keep"] == keep)]
    levels = sorted(chosen["at_sparsity"].unique())
    metrics = {"recall": "recall", "mass_recall": "mass recall", "exactness": "exactness"}
    real = chosen[chosen["bound"].isna()]
    best = {(m, a, at): rows[m].max() for m in metrics for (a, at), rows in real.groupby(["attention", "at_sparsity"])}
    learned = chosen.loc[chosen["projection"] != "kind~none", "projection"].nunique()
    who = [
        "label",
        *(["projection"] if learned > 1 else []),
        *(["attention"] if chosen["attention"].nunique() > 1 else []),
    ]
    rows = []
    for names, series in chosen.groupby(["attention", "predictor", "projection"], sort=False):
        values, bound = series.set_index("at_sparsity"), series["bound"].notna().any()
        cells = [_cell(column, series.iloc[0]) for column in who]
        for metric in metrics:
            for at in levels:
                row = values.loc[at]
                text = number(row[metric], row[f"{metric}_ci95"]) if pd.notna(row[metric]) else "–"
                top = not bound and row[metric] == best[metric, names[0], at]
                cells.append(Cell(text, "" if pd.isna(row[metric]) else repr(float(row[metric])), True, bool(top)))
        rows.append(cells)
    headers = [*(HEADERS.get(column, column) for column in who), *[f"{at:.4g}" for _ in metrics for at in levels]]
    groups = [("", len(who)), *((title, len(levels)) for title in metrics.values())]
    return Table(name, caption, headers, rows, groups)
