"""Mass recall: the share of gold attention probability on predicted pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sparse_attention.evaluation.metrics.base import Metric, share

if TYPE_CHECKING:
    from sparse_attention.evaluation.counts import Counts


class MassRecall(Metric):
    """`ΣA·M / ΣA`, where A is the gold probabilities."""

    name = "mass_recall"
    title = "Mass recall"
    meaning = "The share of gold attention probability on predicted pairs; 1 where there is no gold pair."
    axis = "share of gold probability that is predicted"
    compared = True
    rises = True
    order = 4

    def values(self, counts: Counts) -> np.ndarray:
        """Return ΣA·M / ΣA, computed as 1 minus the missed share, so that it is exactly 1 when no pair is missed."""
        return 1 - share(counts.missed_mass, counts.mass, empty=0)
