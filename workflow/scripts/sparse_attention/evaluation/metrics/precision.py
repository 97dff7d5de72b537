"""Precision: the share of predicted pairs that are gold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sparse_attention.evaluation.metrics.base import Metric, share

if TYPE_CHECKING:
    from sparse_attention.evaluation.counts import Counts


class Precision(Metric):
    """`|M∩G| / |M∩V|`."""

    name = "precision"
    title = "Precision"
    meaning = "The share of predicted pairs that are gold; 1 where no pair is predicted."
    order = 5

    def values(self, counts: Counts) -> np.ndarray:
        """Return |M∩G| / |M∩V|."""
        return share(counts.hits, counts.edges)
