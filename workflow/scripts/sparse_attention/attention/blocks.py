"""Group `size` consecutive tokens into one block: their vectors, values, pairs and buckets."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from sparse_attention.attention.supports import Buckets


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


def regrouped(pairs: Tensor, dim: int, length: int, size: int, new_size: int) -> Tensor:
    """Return which blocks of another size contain a position of a block that is True.

    Parameters
    ----------
    pairs : Tensor
        Bool, with ``⌈length / size⌉`` blocks along the axis `dim`.
    dim : int
        The axis.
    length : int
        Number of positions along that axis.
    size, new_size : int
        Positions per block, before and after; a block of one position is a position.

    Returns
    -------
    Tensor
        Bool, with ``⌈length / new_size⌉`` blocks along that axis.
    """
    if new_size % size == 0:  # each new block is made of whole ones
        behind = [0, 0] * (pairs.dim() - 1 - dim) + [0, -pairs.shape[dim] % (new_size // size)]
        return pad(pairs, behind).unflatten(dim, (-1, new_size // size)).any(dim + 1) if new_size > size else pairs
    starts = torch.arange(0, length, new_size, device=pairs.device)
    ends = (starts + new_size).clamp(max=length)
    before = torch.cat([torch.zeros_like(pairs.narrow(dim, 0, 1)), pairs], dim).cumsum(dim, dtype=torch.int32)
    return before.index_select(dim, (ends - 1) // size + 1) > before.index_select(dim, starts // size)


def near_blocks(queries: int, keys: int, query_block: int, key_block: int, reach: int, device: torch.device) -> Tensor:
    """Return which pairs of blocks hold a query and a key at most `reach` positions apart; none for a negative `reach`.

    Returns
    -------
    Tensor
        Bool ``(query blocks, key blocks)``.
    """
    first_query, first_key = (
        torch.arange(0, n, size, device=device) for n, size in ((queries, query_block), (keys, key_block))
    )
    last_query, last_key = (
        (first_query + query_block).clamp(max=queries) - 1,
        (first_key + key_block).clamp(max=keys) - 1,
    )
    apart = torch.maximum(first_key - last_query[:, None], first_query[:, None] - last_key)
    return (apart <= reach) & (reach >= 0)


def crossing_blocks(of_queries: Tensor, of_keys: Tensor, query_block: int, key_block: int) -> Tensor:
    """Return the pairs of blocks in the rows of some queries and in the columns of some keys.

    Parameters
    ----------
    of_queries, of_keys : Tensor
        Bool ``(queries,)`` and ``(keys,)``: True for these queries and keys.
    query_block, key_block : int
        Tokens per block.

    Returns
    -------
    Tensor
        Bool ``(query blocks, key blocks)``.
    """
    rows = regrouped(of_queries, 0, len(of_queries), 1, query_block)
    return rows[:, None] | regrouped(of_keys, 0, len(of_keys), 1, key_block)


def blocks_that_meet(
    buckets: Buckets, query_block: int, key_block: int, order: tuple[Tensor | None, Tensor | None] = (None, None)
) -> Tensor:
    """Return which pairs of blocks share at least `buckets.at_least` buckets, without comparing pairs of tokens.

    A block is the set of its tokens' buckets. The time grows with the number of pairs of blocks times that of buckets.
    When tokens must share several buckets, blocks may share as many although no two tokens of them meet.

    Parameters
    ----------
    buckets : Buckets
        Buckets of queries and keys.
    query_block, key_block : int
        Tokens per block.
    order : tuple of (Tensor or None)
        The order of queries and that of keys in which blocks are cut, int64 ``(heads, n)``; None: that of the tokens.

    Returns
    -------
    Tensor
        Bool ``(heads, query blocks, key blocks)``.
    """
    count = buckets.size * buckets.tables
    queries, keys = (
        _buckets_of_blocks(given, size, count, place)
        for given, size, place in zip((buckets.queries, buckets.keys), (query_block, key_block), order, strict=True)
    )
    return torch.matmul(queries, keys.mT) >= buckets.at_least


def _buckets_of_blocks(buckets: Tensor, size: int, count: int, order: Tensor | None) -> Tensor:
    """Return the buckets of each block as 0 and 1, float32 ``(heads, blocks, count)``."""
    if order is not None:
        buckets = buckets.gather(1, order[..., None].expand_as(buckets))
    filled = pad(buckets, (0, 0, 0, -buckets.shape[1] % size), value=-1)
    blocks = filled.unflatten(1, (-1, size)).flatten(2)
    found = torch.zeros(*blocks.shape[:2], count + 1, device=buckets.device)
    # bucket -1 goes into a last column that is cut off
    return found.scatter_(-1, torch.where(blocks < 0, count, blocks), 1.0)[..., :count]
