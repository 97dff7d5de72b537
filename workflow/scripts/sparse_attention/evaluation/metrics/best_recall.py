"""Best recall: the highest recall that as many predicted pairs can have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sparse_attention.evaluation.metrics.base import Metric, share

if TYPE_CHECKING:
    from sparse_attention.evaluation.counts import Counts


class BestRecall(Metric):
    """`min(1, |M∩V| / |G|)`."""

    name = "best_recall"
    title = "Best recall"
    meaning = "The recall of the best choice of as many pairs as are predicted; 1 where there is no gold pair."
    rises = True
    order = 3

    def values(self, counts: Counts) -> np.ndarray:
        """Return min(1, |M∩V| / |G|)."""
        return np.minimum(share(counts.edges, counts.gold_pairs), 1)
