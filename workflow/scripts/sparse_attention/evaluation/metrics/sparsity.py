"""Sparsity: the share of pairs that are not predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sparse_attention.evaluation.metrics.base import Metric, share

if TYPE_CHECKING:
    from sparse_attention.evaluation.counts import Counts


class Sparsity(Metric):
    """`1 - |M∩V| / |V|`."""

    name = "sparsity"
    title = "Sparsity"
    meaning = "The share of valid pairs that are not predicted; 1 where no pair is valid."
    axis = "share of pairs that are skipped"
    falls = True
    order = 0

    def values(self, counts: Counts) -> np.ndarray:
        """Return 1 - |M∩V| / |V|."""
        return 1 - share(counts.edges, counts.valid_pairs, empty=0)
