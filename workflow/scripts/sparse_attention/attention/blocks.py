"""Blocks of tokens: what a predictor sees when one position stands for `size` consecutive tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import pad

if TYPE_CHECKING:
    pass


def block_vectors(vectors: Tensor, size: int) -> Tensor:
    """Concatenate the vectors of each block, zeros behind the last token.

    Parameters
    ----------
    vectors : Tensor
        `(…, tokens, dim)`.
    size : int
        Tokens per block.

    Returns
    -------
    Tensor
        `(…, ⌈tokens / size⌉, size · dim)`.
    """
    if size == 1:
        return vectors
    filled = pad(vectors, (0, 0, 0, -vectors.shape[-2] % size))
    return filled.unflatten(-2, (-1, size)).flatten(-2)


def token_vectors(vectors: Tensor, size: int) -> Tensor:
    """Undo `block_vectors`, filling up to whole blocks: `(…, blocks, size · dim)` to `(…, blocks · size, dim)`."""
    return vectors if size == 1 else vectors.unflatten(-1, (size, -1)).flatten(-3, -2)


def block_highest(values: Tensor, size: int) -> Tensor:
    """Return the highest of the values `(…, queries, keys)` in each pair of blocks."""
    filled = pad(values, (0, -values.shape[-1] % size, 0, -values.shape[-2] % size), value=-torch.inf)
    return filled.unflatten(-2, (-1, size)).unflatten(-1, (-1, size)).amax((-3, -1))


def block_any(pairs: Tensor, size: int) -> Tensor:
    """Return whether any pair of tokens is True in each pair of blocks, bool `(…, query blocks, key blocks)`."""
    filled = pad(pairs, (0, -pairs.shape[-1] % size, 0, -pairs.shape[-2] % size))
    return filled.unflatten(-1, (-1, size)).any(-1).unflatten(-2, (-1, size)).any(-2)


def block_counts(pairs: Tensor, size: int) -> Tensor:
    """Count the True pairs of tokens `(…, queries, keys)` in each pair of blocks, float64."""
    filled = pad(pairs.to(torch.float64), (0, -pairs.shape[-1] % size, 0, -pairs.shape[-2] % size))
    return filled.unflatten(-2, (-1, size)).unflatten(-1, (-1, size)).sum((-3, -1))
