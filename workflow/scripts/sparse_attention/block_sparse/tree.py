"""Orders vectors so that neighbours are close: blocks of them are small, and bounds on their scores tight."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from sparse_attention.block_sparse.bounds import Basis
from sparse_attention.block_sparse.reordering import Reordering

STEPS = 8  # of the power method


def by_tree(query: Tensor, key: Tensor, leaf: int = 16) -> Reordering:
    """Order queries and keys by a tree that halves them again and again at the median of their main direction.

    Distances are those of a basis in which queries and keys have equal second moments: there a short distance
    between keys means similar scores.

    Parameters
    ----------
    query, key : Tensor
        ``(batch, heads, queries or keys, dim)``, with equal heads.
    leaf : int
        Tokens of a leaf; blocks of a power of two times as many tokens are subtrees, but for the last ones.
    """
    query, key = query.detach().double(), key.detach().double()
    basis = Basis.balanced(query, key - key.mean(-2, keepdim=True))
    return Reordering(_order(query @ basis.queries.mT, leaf), _order(key @ basis.keys.mT, leaf))


def _order(vectors: Tensor, leaf: int) -> Tensor:
    tokens = vectors.shape[2]
    depth = max(0, math.ceil(math.log2(tokens / leaf)))
    size = leaf * 2**depth
    vectors = pad(vectors, (0, 0, 0, size - tokens))
    order = torch.arange(size, device=vectors.device).expand(vectors.shape[:3])
    for level in range(depth):
        parts = order.unflatten(2, (2**level, -1))
        real = parts < tokens
        rows = vectors.gather(2, order[..., None].expand_as(vectors)).unflatten(2, (2**level, -1))
        places = _along_main_direction(rows, real).masked_fill(~real, torch.inf)  # what fills up stays at the end
        order = parts.gather(-1, places.argsort(dim=-1, stable=True)).flatten(2)
    return order[..., :tokens]


def _along_main_direction(rows: Tensor, real: Tensor) -> Tensor:
    """Return where rows ``(…, n, dim)`` lie along the direction in which they differ most, by the power method."""
    count = real.sum(-1)[..., None, None].clamp_min(1)
    offsets = (rows - rows.sum(-2, keepdim=True) / count) * real[..., None]
    spread = offsets.square().sum(-2)
    direction = torch.zeros_like(spread).scatter_(-1, spread.argmax(-1, keepdim=True), 1.0)[..., None]
    for _ in range(STEPS):
        direction = offsets.mT @ (offsets @ direction)
        direction = direction / direction.norm(dim=-2, keepdim=True).clamp_min(torch.finfo(direction.dtype).tiny)
    return (offsets @ direction)[..., 0]
