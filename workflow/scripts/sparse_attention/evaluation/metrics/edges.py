"""Edges: the number of predicted pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sparse_attention.evaluation.metrics.base import Metric

if TYPE_CHECKING:
    from sparse_attention.evaluation.counts import Counts


class Edges(Metric):
    """`|M∩V|`."""

    name = "edges"
    title = "Edges"
    meaning = "The number of valid pairs that are predicted."
    high = None
    of_heads = False
    rises = True
    order = 7

    def values(self, counts: Counts) -> np.ndarray:
        """Return |M∩V|."""
        return counts.edges
