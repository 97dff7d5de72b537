"""Gold sparsity: the share of pairs with zero probability under full attention."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sparse_attention.evaluation.metrics.base import Metric, share

if TYPE_CHECKING:
    from sparse_attention.evaluation.counts import Counts


class GoldSparsity(Metric):
    """`1 - |G| / |V|`."""

    name = "gold_sparsity"
    title = "Gold sparsity"
    meaning = "The share of valid pairs that are not in the gold support; 1 where no pair is valid."
    order = 1

    def values(self, counts: Counts) -> np.ndarray:
        """Return 1 - |G| / |V|, the same at all points."""
        return 1 - share(counts.gold_pairs, counts.valid_pairs, empty=0)
