"""What every importance score is: a class with a few literals that turns a layer's attention into scores."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from sparse_attention.pruning.scored_attention import Attended


class Score:
    """Scores the tokens of a layer; a subclass with a literal `name` in this folder is found by the registry.

    A token's score may depend on its own sequence only, not on what else is in the batch, and must be differentiable
    in the attention: thresholds learn through it.

    Attributes
    ----------
    name : str
        Name in the configuration and in paths.
    meaning : str
        What it is, in a few words.
    order : int
        Its place where all scores are listed.
    """

    name: ClassVar[str]
    meaning: ClassVar[str]
    order: ClassVar[int]

    def __call__(self, attended: Attended, log_keep: Tensor) -> Tensor:
        """Return the scores of all tokens, at least 0.

        Parameters
        ----------
        attended : Attended
            What `scored_attention.attend` returns: of a token the attention that it received.
        log_keep : Tensor
            ``(batch, n)``: logarithms of keep weights, -inf for padding and for pruned tokens.

        Returns
        -------
        Tensor
            ``(batch, n)``.
        """
        raise NotImplementedError
