"""Exactness: the share of queries for which sparse attention equals full attention."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sparse_attention.evaluation.metrics.base import Metric

if TYPE_CHECKING:
    from sparse_attention.evaluation.counts import Counts


class Exactness(Metric):
    """The share of queries whose attention over predicted keys equals their attention over all keys."""

    name = "exactness"
    title = "Exactness"
    meaning = "The share of queries whose whole gold support is predicted; a query without gold keys counts as one."
    axis = "share of queries with whole support predicted"
    compared = True
    rises = True
    order = 6

    def values(self, counts: Counts) -> np.ndarray:
        """Return the share of queries i with G_i ⊆ M_i."""
        return counts.exact_rows / max(counts.rows, 1)
