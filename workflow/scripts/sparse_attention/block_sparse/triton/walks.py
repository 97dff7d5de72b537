"""The order in which the kernels read block lists: for each block of queries its key blocks, and the other way round.

Blocks with pairs that may not count come first: only they need masks. Blocks in which no pair counts are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor
from torch.nn.functional import pad

from sparse_attention.block_sparse.lists import BlockLists
from sparse_attention.block_sparse.visible import HIDDEN, Visible

BLOCK = 64
"""Queries and keys of a block where no lists say so."""
PARTIAL, FULL, NONE = range(3)
"""Kinds of listed blocks: some, all or none of the pairs count."""
LAST = torch.iinfo(torch.int32).max


class KeyWalk(NamedTuple):
    """The blocks of queries that attend to each block of keys.

    Attributes
    ----------
    blocks : Tensor
        Blocks of queries, int32 ``(listed,)``, one block of keys after the other.
    starts : Tensor
        Where in `blocks` the partial and the full ones of a block of keys start, by turns, and at last the end; int32
        ``(batch * heads * key_blocks * 2 + 1,)``, with batch and heads as in the `QueryWalk`.
    """

    blocks: Tensor
    starts: Tensor


@dataclass(frozen=True)
class QueryWalk:
    """The blocks of keys that each block of queries reads, the partial ones first.

    Attributes
    ----------
    blocks : Tensor
        Blocks of keys, int32 ``(batch, heads, query_blocks, width)``; batch and heads may be 1, then all share.
    partial, counts : Tensor
        How many of them are partial, and how many there are; int32 ``(batch, heads, query_blocks)``.
    query_block, key_block : int
        Tokens of a block.
    """

    blocks: Tensor
    partial: Tensor
    counts: Tensor
    query_block: int
    key_block: int

    @classmethod
    def of(
        cls, lists: BlockLists | None, visible: Visible | None, queries: int, keys: int, device: torch.device
    ) -> Self:
        """Order the lists, by default lists of all blocks; `visible` by default lets every query see every key."""
        if lists is None:
            places = torch.arange(-(-keys // BLOCK), dtype=torch.int32, device=device)
            blocks = places.expand(1, 1, -(-queries // BLOCK), -1).contiguous()
            counts, sizes = torch.full_like(blocks[..., 0], len(places)), (BLOCK, BLOCK)
        else:
            blocks, counts = lists.indices.contiguous(), lists.counts.contiguous()
            sizes = lists.query_block, lists.key_block
        if visible is None and queries % sizes[0] == keys % sizes[1] == 0:
            return cls(blocks, torch.zeros_like(counts), counts, *sizes)
        if visible is None:
            visible = Visible.everything(1, queries, keys, device=str(device))
        listed = torch.arange(blocks.shape[-1], device=device) < counts[..., None]
        blocks = torch.where(listed, blocks, 0)
        kinds = _kinds(visible, blocks, *sizes)
        return cls._sorted(blocks, torch.where(listed, kinds, NONE), *sizes)

    @classmethod
    def _sorted(cls, blocks: Tensor, kinds: Tensor, query_block: int, key_block: int) -> Self:
        order = kinds.argsort(dim=-1, stable=True)
        partial, counts = (kinds == PARTIAL).sum(-1, dtype=torch.int32), (kinds != NONE).sum(-1, dtype=torch.int32)
        return cls(blocks.expand_as(order).gather(-1, order), partial, counts, query_block, key_block)

    def only(self, live: Tensor) -> QueryWalk:
        """Return the walk without blocks that are 0 in `live`, which has the shape of `blocks`."""
        return self._sorted(
            self.blocks, torch.where(live != 0, self._own_kinds(), NONE), self.query_block, self.key_block
        )

    def transposed(self, key_blocks: int) -> KeyWalk:
        """Return the walk of the keys; nothing of the size of all pairs of blocks is made."""
        *lists, query_blocks, width = self.blocks.shape
        rows = lists[0] * lists[1] * key_blocks
        first = torch.arange(0, rows, key_blocks, device=self.blocks.device).view(*lists, 1, 1)
        kinds = self._own_kinds()
        places = torch.where(kinds == NONE, 2 * rows, 2 * (first + self.blocks) + kinds).flatten()
        ordered, order = places.sort(stable=True)
        starts = torch.searchsorted(ordered, torch.arange(2 * rows + 1, device=ordered.device), out_int32=True)
        return KeyWalk((order // width % query_blocks).to(torch.int32), starts)

    def _own_kinds(self) -> Tensor:
        place = torch.arange(self.blocks.shape[-1], device=self.blocks.device)
        past = (place >= bound[..., None] for bound in (self.partial, self.counts))
        return sum((each.to(torch.int64) for each in past), torch.zeros_like(place))


def _kinds(visible: Visible, blocks: Tensor, query_block: int, key_block: int) -> Tensor:
    """Return the kinds of listed blocks; a block that reaches behind the last query or key is never full."""
    first, last = _cut(visible.first, query_block, LAST), _cut(visible.last, query_block, HIDDEN)
    position = _cut(visible.position, key_block, HIDDEN)
    nearest = torch.where(position == HIDDEN, LAST, position)
    shape = torch.broadcast_shapes(first.shape[:2], position.shape[:2], blocks.shape[:2])
    listed = blocks.expand(*shape, -1, -1).long()
    lowest, highest, nearest = (
        bound.expand(*shape, -1)[..., None, :].expand(*listed.shape[:-1], -1).gather(-1, listed)
        for bound in (position.amin(-1), position.amax(-1), nearest.amin(-1))
    )
    full = (lowest >= first.amax(-1, keepdim=True)) & (highest <= last.amin(-1, keepdim=True))
    nothing = (highest < first.amin(-1, keepdim=True)) | (nearest > last.amax(-1, keepdim=True))
    return torch.where(nothing, NONE, torch.where(full, FULL, PARTIAL))


def _cut(bound: Tensor, size: int, behind: int) -> Tensor:
    """Return ``(batch, heads, blocks, size)`` of ``(batch, heads, tokens)``, `behind` after the last token."""
    return pad(bound, (0, -bound.shape[-1] % size), value=behind).unflatten(-1, (-1, size))
