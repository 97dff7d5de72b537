"""Scores at random, for the baseline that prunes without looking."""

from __future__ import annotations

import torch
from torch import Tensor


def random_scores(tokens: Tensor, real: Tensor, seed: int) -> Tensor:
    """Return scores in [0, 1) that depend on the seed, the sequence's tokens and the position, on nothing else.

    They are hashes rather than draws, so that neither batching nor removing padding changes them.

    Parameters
    ----------
    tokens : Tensor
        int64 ``(batch, n)``.
    real : Tensor
        bool ``(batch, n)``, False for padding.
    seed : int

    Returns
    -------
    Tensor
        float32 ``(batch, n)``, 24 bits each.
    """
    places = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
    sequence = (_mixed(tokens * 65_537 + _mixed(places + 1)) * real).sum(1, keepdim=True)
    return (_mixed(_mixed(sequence + seed) + places) & 0xFFFFFF).float() / 2**24


def _mixed(numbers: Tensor) -> Tensor:
    """Hash int64 numbers to 31 bits; products of 32 and 27 bits do not overflow."""
    numbers = numbers & 0xFFFFFFFF
    for _ in range(2):
        numbers = ((numbers ^ (numbers >> 16)) * 0x45D9F3B) & 0xFFFFFFFF
    return (numbers ^ (numbers >> 16)) & 0x7FFFFFFF
