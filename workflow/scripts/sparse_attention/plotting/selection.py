"""Select the rows of a table that a figure or a sentence of the report is about."""

from __future__ import annotations

import re

import pandas as pd

from sparse_attention.files.segments import block_size_of


def first_number(text: object) -> float:
    """Return the first number in a bin's name, to sort by: 3 for `3-4`, 1024.5 for `>1024`, infinity for `other`."""
    found = re.search(r"\d+(?:\.\d+)?(?:e[-+]?\d+)?", str(text))
    return float(found[0]) + 0.5 * str(text).startswith(">") if found else float("inf")


def last_number(text: str) -> str:
    """Return the upper end of a bin in three digits: `0.5` for `0.25-0.5`; an open bin such as `>2` keeps its name."""
    return text if text.startswith(">") else f"{float(re.split(r'(?<=[0-9])-', text)[-1]):.3g}"


def one_projection(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of each predictor's first projection; blocks of tokens are used only if no row is by token."""
    by_token = table["projection"].map(block_size_of) == 1
    rows = table[by_token] if by_token.any() else table
    first = rows.groupby(["attention", "predictor"], sort=False)["projection"].transform("first")
    return rows[rows["projection"] == first]


def nearest_point(rows: pd.DataFrame, sparsity: float) -> pd.DataFrame:
    """Return the rows of the point whose sparsity is nearest to `sparsity`.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of the table `common_buckets` for one attention and predictor.
    sparsity : float
        The wanted share of pairs that have no bucket in common.
    """
    pairs = rows["pairs"].groupby(rows["point"], sort=False).sum()
    shared = rows["pairs"].where(rows["common"] > 0, 0).groupby(rows["point"], sort=False).sum()
    return rows[rows["point"] == (1 - shared / pairs - sparsity).abs().idxmin()]
