"""Random scores, for the baseline that prunes tokens at random."""

from __future__ import annotations

import torch
from torch import Tensor


def random_scores(tokens: Tensor, real: Tensor, seed: int) -> Tensor:
    """Return scores in [0, 1) that depend only on the seed, the tokens of the sequence and the position.

    They are hashes, not random draws, so that neither the batch nor the removal of padding changes them.

    Parameters
    ----------
    tokens : Tensor
        int64 ``(batch, n)``.
    real : Tensor
        bool ``(batch, n)``, False for padding.
    seed : int
        Another seed gives other scores.

    Returns
    -------
    Tensor
        float32 ``(batch, n)``, multiples of 2⁻²⁴.
    """
    positions = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
    sequence = (_hash(tokens * 65_537 + _hash(positions + 1)) * real).sum(1, keepdim=True)
    return (_hash(_hash(sequence + seed) + positions) & 0xFFFFFF).float() / 2**24


def _hash(numbers: Tensor) -> Tensor:
    """Hash int64 numbers to 31 bits; products of 32 and 27 bits do not overflow."""
    numbers = numbers & 0xFFFFFFFF
    for _ in range(2):
        numbers = ((numbers ^ (numbers >> 16)) * 0x45D9F3B) & 0xFFFFFFFF
    return (numbers ^ (numbers >> 16)) & 0x7FFFFFFF
