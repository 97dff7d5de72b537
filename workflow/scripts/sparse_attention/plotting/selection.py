"""Which rows of a table a figure, or a sentence of the report, is about."""

from __future__ import annotations

import re

import pandas as pd

from sparse_attention.files.segments import block_size_of


def first_number(text: object) -> float:
    """Return the number that a bin's name starts with: `3-4` is 3, `>1024` a little more than 1024."""
    found = re.search(r"\d+(?:\.\d+)?(?:e[-+]?\d+)?", str(text))
    return float(found[0]) + 0.5 * str(text).startswith(">") if found else float("inf")


def last_number(text: str) -> str:
    """Return the upper end of a bin in three digits: `0.25-0.5` is 0.5; an open bin keeps its name."""
    return text if text.startswith(">") else f"{float(re.split(r'(?<=[0-9])-', text)[-1]):.3g}"


def one_projection(table: pd.DataFrame) -> pd.DataFrame:
    """Return one projection per predictor, the first; of blocks of tokens only where nothing else was tried."""
    by_token = table["projection"].map(block_size_of) == 1
    rows = table[by_token] if by_token.any() else table
    first = rows.groupby(["attention", "predictor"], sort=False)["projection"].transform("first")
    return rows[rows["projection"] == first]


def nearest_point(rows: pd.DataFrame, sparsity: float) -> pd.DataFrame:
    """Return the rows of the point whose pairs with a bucket in common are nearest to a sparsity.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of the table `common_buckets` of one series.
    sparsity : float
        The sparsity if a pair is kept when it has a bucket in common.
    """
    pairs = rows["pairs"].groupby(rows["point"], sort=False).sum()
    shared = rows["pairs"].where(rows["common"] > 0, 0).groupby(rows["point"], sort=False).sum()
    return rows[rows["point"] == (1 - shared / pairs - sparsity).abs().idxmin()]
