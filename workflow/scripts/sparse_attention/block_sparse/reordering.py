"""Orders queries and keys so that those of a bucket are neighbours, and lists the blocks that share a bucket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import pad

from sparse_attention.attention.supports import Buckets
from sparse_attention.block_sparse.dispatch import Attended, attend
from sparse_attention.block_sparse.lists import BlockLists
from sparse_attention.block_sparse.visible import Visible


@dataclass(frozen=True)
class Reordering:
    """Another order of queries and keys, for each head.

    Attributes
    ----------
    queries, keys : Tensor
        The place at which each one stood before, int64 ``(batch, heads, queries)`` and ``(batch, heads, keys)``.
    """

    queries: Tensor
    keys: Tensor

    @classmethod
    def by_bucket(cls, buckets: Buckets) -> Self:
        """Sort by the first bucket of each vector; vectors without a bucket come first, equal ones keep their order."""
        return cls(*(given[..., 0].argsort(dim=-1, stable=True)[None] for given in (buckets.queries, buckets.keys)))

    def apply(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values, ``(batch, heads, n, dim)`` each, in this order."""
        return _take(query, self.queries), _take(key, self.keys), _take(value, self.keys)

    def attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        lists: BlockLists,
        alpha: float = 1.5,
        visible: Visible | None = None,
        scaling: float | None = None,
    ) -> Attended:
        """Attend in this order, over lists that are made for it, and undo it.

        The arguments are those of `dispatch.attend`, with a head of keys for each head of queries. `visible`, the
        output and the thresholds are in the order before.
        """
        if visible is None:
            visible = Visible.everything(query.shape[0], query.shape[2], key.shape[2], device=str(query.device))
        seen = visible.reordered(*(order.expand(len(query), -1, -1) for order in (self.queries, self.keys)))
        output, thresholds = attend(*self.apply(query, key, value), lists, alpha, seen, scaling)
        back = self.queries.argsort(-1).expand_as(thresholds)
        return Attended(_take(output, back), thresholds.gather(-1, back))


def _take(rows: Tensor, order: Tensor) -> Tensor:
    """Return rows ``(batch, heads, n, dim)`` in another order, ``(batch or 1, heads, n)``."""
    return rows.gather(2, order[..., None].expand(len(rows), -1, -1, rows.shape[-1]))


def lists_of_buckets(
    buckets: Buckets, query_block: int, key_block: int, reordering: Reordering | None = None
) -> BlockLists:
    """List for each block of queries the key blocks that share a bucket with it.

    No pair of tokens is compared: a block is the set of its buckets. The time grows with the number of pairs of blocks
    times that of buckets. Where `buckets.at_least` is above 1, the lists hold more than the pairs that meet.

    Parameters
    ----------
    buckets : Buckets
    query_block, key_block : int
        Tokens of a block.
    reordering : Reordering, optional
        The order in which blocks are cut; by default the order of the tokens.

    Returns
    -------
    BlockLists
        For one batch.
    """
    count = buckets.size * buckets.tables
    places = (None, None) if reordering is None else (reordering.queries[0], reordering.keys[0])
    sets = [
        _sets(given, size, count, place)
        for given, size, place in zip((buckets.queries, buckets.keys), (query_block, key_block), places, strict=True)
    ]
    kept = torch.matmul(sets[0], sets[1].mT) > 0
    lengths = buckets.queries.shape[1], buckets.keys.shape[1]
    return BlockLists.of(kept[None], *lengths, query_block, key_block)


def _sets(buckets: Tensor, size: int, count: int, order: Tensor | None) -> Tensor:
    """Return the buckets of each block as 0 and 1, float32 ``(heads, blocks, count)``."""
    if order is not None:
        buckets = buckets.gather(1, order[..., None].expand_as(buckets))
    filled = pad(buckets, (0, 0, 0, -buckets.shape[1] % size), value=-1)
    blocks = filled.unflatten(1, (-1, size)).flatten(2)
    found = torch.zeros(*blocks.shape[:2], count + 1, device=buckets.device)
    # bucket -1 goes into a last column that is cut off
    return found.scatter_(-1, torch.where(blocks < 0, count, blocks), 1.0)[..., :count]
