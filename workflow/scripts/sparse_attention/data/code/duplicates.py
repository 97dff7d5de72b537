"""Finds functions that are, up to layout or nearly, the same as one that came before."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

TOKEN = re.compile(r"\w+|[^\w\s]")
SHINGLE = 5  # tokens
ROWS_AT_ONCE = 500
FEATURES = 2**20


def exact(sources: Sequence[str]) -> np.ndarray:
    """Return which texts have the tokens of an earlier one, in the same order: bool `(texts,)`."""
    seen: set[str] = set()
    repeated = np.zeros(len(sources), dtype=bool)
    for place, source in enumerate(sources):
        key = " ".join(TOKEN.findall(source))
        repeated[place] = key in seen
        seen.add(key)
    return repeated


def near(sources: Sequence[str], similarity: float) -> np.ndarray:
    """Return which texts are nearly one that came before and is not itself left out: bool `(texts,)`.

    Two texts are nearly the same when the Jaccard similarity of their sets of shingles, five tokens in a row, is at
    least `similarity`. Shingles are hashed to 2²⁰ places, which moves a similarity by about the share of places taken.

    Parameters
    ----------
    sources : sequence of str
        The texts.
    similarity : float
        In (0, 1].
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
        # in order, so that a text is compared with those that stay
        pairs = sorted(zip(rows[close].tolist(), columns[close].tolist(), strict=True))
        for row, column in pairs:
            left_out[row] |= not left_out[column]
    return left_out


def _shingles(source: str) -> list[str]:
    tokens = TOKEN.findall(source)
    return [" ".join(tokens[place : place + SHINGLE]) for place in range(max(1, len(tokens) - SHINGLE + 1))]
