"""The attention that a token receives, divided by that of the most attended token."""

from __future__ import annotations

import torch
from torch import Tensor

from sparse_attention.pruning.scored_attention import Attended
from sparse_attention.pruning.scores.base import Score


class Relative(Score):
    """The attention received, divided by that of the sequence's most attended token, whose score is 1."""

    name = "relative"
    meaning = "relative to the most attended token"
    order = 2

    def __call__(self, attended: Attended, log_keep: Tensor) -> Tensor:
        """Return the scores, ``(batch, n)``."""
        largest = attended.received.amax(1, keepdim=True)
        return attended.received / largest.clamp_min(torch.finfo(largest.dtype).tiny)
