"""Computation sparsity: the share of computation that is saved after the cost of predicting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sparse_attention.evaluation.metrics.base import Metric, share

if TYPE_CHECKING:
    from sparse_attention.evaluation.counts import Counts


class ComputationSparsity(Metric):
    """`1 - (scores computed + cost of predicting) / |V|`, in scores.

    A pair that shares several buckets is computed once in each; windows and kept tokens add the pairs that are not in
    M.
    """

    name = "computation_sparsity"
    title = "Computation sparsity"
    meaning = (
        "The share of full attention's scores that is saved when predicting is counted as well; below 0 where more is "
        "computed than saved, 1 where no pair is valid, and unknown where the cost of predicting is."
    )
    low = None
    unknown = True
    order = 8

    def values(self, counts: Counts) -> np.ndarray:
        """Return 1 - (scores computed + cost of predicting) / |V|, in scores."""
        return 1 - share(counts.computed, counts.valid_pairs, empty=0)
