"""Orders queries and keys so that those of a bucket are neighbours, and lists the blocks that share a bucket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from torch import Tensor

from sparse_attention.attention.blocks import blocks_that_meet
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

    No pair of tokens is compared, see `blocks_that_meet`.

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
    order = (None, None) if reordering is None else (reordering.queries[0], reordering.keys[0])
    kept = blocks_that_meet(buckets, query_block, key_block, order)
    lengths = buckets.queries.shape[1], buckets.keys.shape[1]
    return BlockLists.of(kept[None], *lengths, query_block, key_block)
