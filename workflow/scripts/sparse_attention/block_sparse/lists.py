"""Which blocks of keys each block of queries attends to, as PyTorch's `BlockMask` holds them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask
from torch.nn.functional import pad

from sparse_attention.attention.blocks import block_any
from sparse_attention.block_sparse.visible import Visible

MULTIPLE = 16
"""Key blocks have a multiple of so many tokens: kernels read keys in tiles of up to so many."""


@dataclass(frozen=True)
class BlockLists:
    """The key blocks that each block of queries keeps, in ascending order.

    Whole blocks are kept: a query attends to every key of them that it may see.

    Attributes
    ----------
    counts : Tensor
        Number of kept key blocks, int32 ``(batch, heads, query_blocks)``; batch and heads may be 1, then all share.
    indices : Tensor
        Their places, int32 ``(batch, heads, query_blocks, width)``; behind the first ``counts`` anything may stand.
    queries, keys : int
        Number of tokens.
    query_block, key_block : int
        Tokens of a block; the last block may be shorter. `key_block` is a multiple of `MULTIPLE`.

    Raises
    ------
    ValueError
        When a shape, a size or an index does not fit.
    """

    counts: Tensor
    indices: Tensor
    queries: int
    keys: int
    query_block: int
    key_block: int

    def __post_init__(self) -> None:
        if self.query_block < 1 or self.key_block < 1 or self.key_block % MULTIPLE:
            raise ValueError(
                f"blocks of {self.query_block} queries and {self.key_block} keys; "
                f"allowed: positive, keys a multiple of {MULTIPLE}"
            )
        shape = (*self.counts.shape[:2], -(-self.queries // self.query_block))
        if tuple(self.counts.shape) != shape or self.indices.ndim != 4 or tuple(self.indices.shape[:3]) != shape:
            raise ValueError(
                f"counts {tuple(self.counts.shape)} and indices {tuple(self.indices.shape)} do not go with "
                f"{self.queries} queries in blocks of {self.query_block}"
            )
        if self.counts.dtype != torch.int32 or self.indices.dtype != torch.int32:
            raise ValueError(f"counts {self.counts.dtype} and indices {self.indices.dtype}; allowed: int32")
        self._check_values()

    def _check_values(self) -> None:
        if self.counts.numel() and not 0 <= int(self.counts.min()) <= int(self.counts.max()) <= self.indices.shape[-1]:
            raise ValueError(f"counts up to {int(self.counts.max())} with room for {self.indices.shape[-1]} indices")
        kept = self.indices[self._listed()]
        if kept.numel() and not 0 <= int(kept.min()) <= int(kept.max()) < self.key_blocks:
            raise ValueError(f"indices from {int(kept.min())} to {int(kept.max())} of {self.key_blocks} key blocks")

    @classmethod
    def of(cls, blocks: Tensor, queries: int, keys: int, query_block: int, key_block: int) -> BlockLists:
        """Make lists from the kept pairs of blocks, bool ``(batch, heads, query_blocks, key_blocks)``."""
        counts = blocks.sum(-1, dtype=torch.int32)
        width = max(int(counts.max()), 1) if counts.numel() else 1
        # kept blocks first, each group in ascending order
        order = torch.argsort(blocks.to(torch.int8), dim=-1, descending=True, stable=True)
        return cls(counts, order[..., :width].to(torch.int32).contiguous(), queries, keys, query_block, key_block)

    @classmethod
    def covering(cls, support: Tensor, query_block: int, key_block: int) -> BlockLists:
        """Make the shortest lists that hold a support of tokens, bool ``(batch, heads, queries, keys)``."""
        queries, keys = support.shape[-2:]
        return cls.of(block_any(support, query_block, key_block), queries, keys, query_block, key_block)

    @property
    def query_blocks(self) -> int:
        """Number of blocks of queries."""
        return self.counts.shape[-1]

    @property
    def key_blocks(self) -> int:
        """Number of blocks of keys."""
        return -(-self.keys // self.key_block)

    @property
    def kept(self) -> float:
        """Share of the pairs of blocks that are kept, from 0 to 1."""
        return float(self.counts.double().mean()) / self.key_blocks

    def blocks(self) -> Tensor:
        """Return the kept pairs of blocks, bool ``(batch, heads, query_blocks, key_blocks)``."""
        dense = self.counts.new_zeros((*self.counts.shape, self.key_blocks + 1), dtype=torch.bool)
        # what stands behind the first counts goes into a column that is cut off
        places = torch.where(self._listed(), self.indices, self.key_blocks).long()
        return dense.scatter_(-1, places, True)[..., :-1]

    def tokens(self) -> Tensor:
        """Return the kept pairs of tokens, bool ``(batch, heads, queries, keys)``."""
        blocks = self.blocks().repeat_interleave(self.query_block, -2).repeat_interleave(self.key_block, -1)
        return blocks[..., : self.queries, : self.keys]

    def to_block_mask(self, visible: Visible | None = None) -> BlockMask:
        """Return the lists for FlexAttention.

        Parameters
        ----------
        visible : Visible, optional
            What each query may see; then every listed block is a partial one, whose pairs are checked. By default every
            listed block is a full one.
        """
        places = torch.where(self._listed(), self.indices, 0)
        places = pad(places, (0, self.key_blocks - places.shape[-1]))
        size, lengths, counts = (self.query_block, self.key_block), (self.queries, self.keys), self._mask_mod(visible)
        if visible is None:
            none = torch.zeros_like(self.counts), torch.zeros_like(places)
            return BlockMask.from_kv_blocks(
                *none, self.counts, places, BLOCK_SIZE=size, mask_mod=counts, seq_lengths=lengths
            )
        return BlockMask.from_kv_blocks(self.counts, places, BLOCK_SIZE=size, mask_mod=counts, seq_lengths=lengths)

    def _mask_mod(self, visible: Visible | None) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
        """Return which pairs count, as a function of their places; uncompiled FlexAttention reads only this."""
        blocks, seen = self.blocks(), None if visible is None else visible.mask_mod()

        def counts(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
            own_batch, own_head = batch if len(blocks) > 1 else 0, head if blocks.shape[1] > 1 else 0
            kept = blocks[own_batch, own_head, query // self.query_block, key // self.key_block]
            return kept if seen is None else kept & seen(batch, head, query, key)

        return counts

    def _listed(self) -> Tensor:
        return torch.arange(self.indices.shape[-1], device=self.counts.device) < self.counts[..., None]
