"""Finds functions that repeat an earlier one, exactly up to layout, or nearly."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

TOKEN = re.compile(r"\w+|[^\w\s]")
SHINGLE = 5  # tokens
ROWS_AT_ONCE = 500
FEATURES = 2**20


def exact(sources: Sequence[str]) -> np.ndarray:
    """Return which texts have the same tokens in the same order as an earlier text: bool ``(texts,)``."""
    seen: set[str] = set()
    repeated = np.zeros(len(sources), dtype=bool)
    for place, source in enumerate(sources):
        key = " ".join(TOKEN.findall(source))
        repeated[place] = key in seen
        seen.add(key)
    return repeated


def near(sources: Sequence[str], similarity: float) -> np.ndarray:
    """Return which texts nearly repeat an earlier text that does not itself repeat one.

    Two texts are nearly the same when the Jaccard similarity of their sets of shingles, five tokens in a row, is at
    least `similarity`. Shingles are hashed to 2²⁰ values. Collisions change a similarity by about the share of values
    that the two texts use.

    Parameters
    ----------
    sources : sequence of str
        The texts.
    similarity : float
        The least Jaccard similarity, in (0, 1].

    Returns
    -------
    ndarray
        bool ``(texts,)``.
    """
    from scipy import sparse
    from sklearn.feature_extraction.text import HashingVectorizer

    if not sources:
        return np.zeros(0, dtype=bool)
    shingles = HashingVectorizer(
        analyzer=_shingles, n_features=FEATURES, binary=True, norm=None, alternate_sign=False, dtype=np.float32
    ).transform(sources)
    sizes = np.asarray(shingles.sum(1)).ravel()
    transposed = sparse.csc_matrix(shingles.T)
    left_out = np.zeros(len(sources), dtype=bool)
    for start in range(0, len(sources), ROWS_AT_ONCE):
        stop = min(start + ROWS_AT_ONCE, len(sources))
        shared = sparse.coo_matrix(shingles[start:stop] @ transposed[:, :stop])
        rows, columns = shared.row + start, shared.col
        union = sizes[rows] + sizes[columns] - shared.data
        close = (columns < rows) & (shared.data >= similarity * union)
        # in order, because a text counts only as a repeat of texts that are kept
        pairs = sorted(zip(rows[close].tolist(), columns[close].tolist(), strict=True))
        for row, column in pairs:
            left_out[row] |= not left_out[column]
    return left_out


def _shingles(source: str) -> list[str]:
    tokens = TOKEN.findall(source)
    return [" ".join(tokens[place : place + SHINGLE]) for place in range(max(1, len(tokens) - SHINGLE + 1))]
