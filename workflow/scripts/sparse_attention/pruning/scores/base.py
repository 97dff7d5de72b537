"""Base class of importance scores: literals that name the score, and a call that turns attention into scores."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from sparse_attention.pruning.scored_attention import Attended


class Score:
    """Compute the scores of a layer's tokens.

    The registry finds every subclass with a literal `name` in this folder. A token's score may depend only on its own
    sequence, not on the rest of the batch. It must be differentiable with respect to the attention, since thresholds
    learn through it.

    Attributes
    ----------
    name : str
        Name in the configuration and in paths.
    meaning : str
        Definition of the score in a few words.
    order : int
        Rank in lists of all scores.
    """

    name: ClassVar[str]
    meaning: ClassVar[str]
    order: ClassVar[int]

    def __call__(self, attended: Attended, log_keep: Tensor) -> Tensor:
        """Return the scores of all tokens, at least 0.

        Parameters
        ----------
        attended : Attended
            Attention of the layer, from `scored_attention.attend`.
        log_keep : Tensor
            ``(batch, n)``, logarithms of the keep weights: -inf for padding and pruned tokens.

        Returns
        -------
        Tensor
            ``(batch, n)``.
        """
        raise NotImplementedError
