"""The mean attention that a token receives."""

from __future__ import annotations

import torch
from torch import Tensor

from sparse_attention.pruning.scored_attention import Attended
from sparse_attention.pruning.scores.base import Score


class Mean(Score):
    """The attention received, averaged over heads and queries; the sum over a sequence is 1.

    Queries count with their keep weights `exp(log_keep)`, so padding and pruned tokens do not count.
    """

    name = "mean"
    meaning = "mean attention received"
    order = 1

    def __call__(self, attended: Attended, log_keep: Tensor) -> Tensor:
        """Return the scores, ``(batch, n)``."""
        queries = log_keep.exp().sum(1, keepdim=True)
        return attended.received / queries.clamp_min(torch.finfo(queries.dtype).tiny)
