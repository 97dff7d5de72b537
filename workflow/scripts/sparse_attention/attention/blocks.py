"""Group `size` consecutive tokens into one block: their vectors, values and pairs."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad


def block_vectors(vectors: Tensor, size: int) -> Tensor:
    """Concatenate the vectors of each block; the last block is filled up with zeros.

    Parameters
    ----------
    vectors : Tensor
        ``(…, tokens, dim)``.
    size : int
        Tokens per block.

    Returns
    -------
    Tensor
        ``(…, ⌈tokens / size⌉, size · dim)``.
    """
    if size == 1:
        return vectors
    filled = pad(vectors, (0, 0, 0, -vectors.shape[-2] % size))
    return filled.unflatten(-2, (-1, size)).flatten(-2)


def token_vectors(vectors: Tensor, size: int) -> Tensor:
    """Split the vectors of blocks into those of tokens: the inverse of `block_vectors`.

    Parameters
    ----------
    vectors : Tensor
        ``(…, blocks, size · dim)``.
    size : int
        Tokens per block.

    Returns
    -------
    Tensor
        ``(…, blocks · size, dim)``; the zeros that fill up the last block stay.
    """
    return vectors if size == 1 else vectors.unflatten(-1, (size, -1)).flatten(-3, -2)


def block_highest(values: Tensor, size: int) -> Tensor:
    """Return the highest value in each pair of blocks.

    Parameters
    ----------
    values : Tensor
        Floating point ``(…, queries, keys)``.
    size : int
        Tokens per block.

    Returns
    -------
    Tensor
        ``(…, query blocks, key blocks)``.
    """
    filled = pad(values, (0, -values.shape[-1] % size, 0, -values.shape[-2] % size), value=-torch.inf)
    return filled.unflatten(-2, (-1, size)).unflatten(-1, (-1, size)).amax((-3, -1))


def block_any(pairs: Tensor, size: int, key_size: int | None = None) -> Tensor:
    """Return for each pair of blocks whether any of its token pairs is True.

    Parameters
    ----------
    pairs : Tensor
        Bool ``(…, queries, keys)``.
    size : int
        Tokens per block.
    key_size : int, optional
        Tokens per block of keys, by default as many as per block of queries.

    Returns
    -------
    Tensor
        Bool ``(…, query blocks, key blocks)``.
    """
    key_size = key_size or size
    filled = pad(pairs, (0, -pairs.shape[-1] % key_size, 0, -pairs.shape[-2] % size))
    return filled.unflatten(-1, (-1, key_size)).any(-1).unflatten(-2, (-1, size)).any(-2)


def block_counts(pairs: Tensor, size: int) -> Tensor:
    """Count the True token pairs in each pair of blocks.

    Parameters
    ----------
    pairs : Tensor
        Bool ``(…, queries, keys)``.
    size : int
        Tokens per block.

    Returns
    -------
    Tensor
        float64 ``(…, query blocks, key blocks)``.
    """
    filled = pad(pairs.to(torch.float64), (0, -pairs.shape[-1] % size, 0, -pairs.shape[-2] % size))
    return filled.unflatten(-2, (-1, size)).unflatten(-1, (-1, size)).sum((-3, -1))
