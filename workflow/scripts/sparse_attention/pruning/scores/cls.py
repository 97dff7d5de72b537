"""The attention that CLS pays to a token."""

from __future__ import annotations

from torch import Tensor

from sparse_attention.pruning.scored_attention import Attended
from sparse_attention.pruning.scores.base import Score


class Cls(Score):
    """The attention of CLS to each token, averaged over heads; the sum over a sequence is 1."""

    name = "cls"
    meaning = "attention of CLS"
    order = 3

    def __call__(self, attended: Attended, log_keep: Tensor) -> Tensor:
        """Return the scores, ``(batch, n)``."""
        return attended.cls
