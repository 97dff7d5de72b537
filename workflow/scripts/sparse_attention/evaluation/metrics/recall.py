"""Recall: the share of gold pairs that are predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sparse_attention.evaluation.metrics.base import Metric, share

if TYPE_CHECKING:
    from sparse_attention.evaluation.counts import Counts


class Recall(Metric):
    """`|M∩G| / |G|`."""

    name = "recall"
    title = "Recall"
    meaning = "The share of gold pairs that are predicted; 1 where there is no gold pair."
    axis = "share of gold pairs that are predicted"
    compared = True
    rises = True
    order = 2

    def values(self, counts: Counts) -> np.ndarray:
        """Return |M∩G| / |G|."""
        return share(counts.hits, counts.gold_pairs)
