"""Which keys each query may see: those whose position lies between two bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

HIDDEN = -1
"""Position of a key that no query sees."""


@dataclass(frozen=True)
class Visible:
    """Bounds of positions: causal masks, padding and sliding windows are of this form, also after reordering.

    A query sees a key when ``first <= position <= last``.

    Attributes
    ----------
    first, last : Tensor
        int32 ``(batch, heads, queries)``, `first` from 0; heads may be 1, then all share.
    position : Tensor
        int32 ``(batch, heads, keys)``, from 0, or `HIDDEN`.
    """

    first: Tensor
    last: Tensor
    position: Tensor

    @classmethod
    def everything(cls, batch: int, queries: int, keys: int, causal: bool = False, device: str = "cpu") -> Visible:
        """Let every query see every key; with `causal` the last query the last key, and each one before one less."""
        position = torch.arange(keys, dtype=torch.int32, device=device)
        last = position.new_full((queries,), keys - 1)
        if causal:
            last = torch.arange(keys - queries, keys, dtype=torch.int32, device=device)
        first = torch.zeros_like(last)
        return cls(*(bound.expand(batch, 1, -1).contiguous() for bound in (first, last, position)))

    @classmethod
    def of_mask(cls, mask: Tensor) -> Visible | None:
        """Return the bounds of a mask, bool ``(batch, heads, queries, keys)``; None when bounds cannot express it."""
        keys = mask.shape[-1]
        places = torch.arange(keys, device=mask.device)
        position = torch.where(mask.any(-2), places, HIDDEN).to(torch.int32)
        first = mask.to(torch.int8).argmax(-1)
        last = torch.where(mask.any(-1), keys - 1 - mask.flip(-1).to(torch.int8).argmax(-1), HIDDEN)
        visible = cls(first.to(torch.int32), last.to(torch.int32), position)
        return visible if torch.equal(visible.mask(), mask) else None

    def mask(self) -> Tensor:
        """Return the pairs that count, bool ``(batch, heads, queries, keys)``."""
        position = self.position[..., None, :]
        return (position >= self.first[..., None]) & (position <= self.last[..., None])

    def mask_mod(self) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
        """Return the mask as FlexAttention takes it: a function of the places of batch, head, query and key."""

        def seen(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
            first, last, position = (
                bound[batch, head if bound.shape[1] > 1 else 0, place]
                for bound, place in ((self.first, query), (self.last, query), (self.position, key))
            )
            return (position >= first) & (position <= last)

        return seen

    def blocks(self, query_block: int, key_block: int) -> Tensor:
        """Return which pairs of blocks may hold a pair that counts, without computing pairs.

        A block of queries counts as seeing everything from the lowest of its bounds to the highest, so a pair of blocks
        may be returned that holds no such pair.

        Returns
        -------
        Tensor
            Bool ``(batch, heads, query_blocks, key_blocks)``.
        """
        nowhere, blind = torch.iinfo(torch.int32).max, self.last < self.first
        first = _in_blocks(self.first.masked_fill(blind, nowhere), query_block, nowhere).amin(-1)
        last = _in_blocks(self.last.masked_fill(blind, HIDDEN), query_block, HIDDEN).amax(-1)
        hidden = self.position == HIDDEN
        lowest = _in_blocks(self.position.masked_fill(hidden, nowhere), key_block, nowhere).amin(-1)
        highest = _in_blocks(self.position, key_block, HIDDEN).amax(-1)
        return (lowest[..., None, :] <= last[..., None]) & (highest[..., None, :] >= first[..., None])

    def whole_blocks(self, query_block: int, key_block: int) -> Tensor:
        """Return which pairs of blocks hold only pairs that count, without computing pairs; none that the end cuts.

        Returns
        -------
        Tensor
            Bool ``(batch, heads, query_blocks, key_blocks)``.
        """
        nowhere = torch.iinfo(torch.int32).max
        first = _in_blocks(self.first, query_block, nowhere).amax(-1)
        last = _in_blocks(self.last, query_block, HIDDEN).amin(-1)
        lowest = _in_blocks(self.position, key_block, HIDDEN).amin(-1)
        highest = _in_blocks(self.position, key_block, HIDDEN).amax(-1)
        return (lowest[..., None, :] >= first[..., None]) & (highest[..., None, :] <= last[..., None])

    def reordered(self, queries: Tensor, keys: Tensor) -> Visible:
        """Return the bounds of queries and keys in another order.

        Parameters
        ----------
        queries, keys : Tensor
            Where each one stood, int64 ``(batch, heads, queries)`` and ``(batch, heads, keys)``.
        """
        first, last = (bound.expand_as(queries).gather(-1, queries) for bound in (self.first, self.last))
        return Visible(first, last, self.position.expand_as(keys).gather(-1, keys))


def _in_blocks(values: Tensor, size: int, fill: int) -> Tensor:
    """Split ``(…, n)`` into blocks, ``(…, blocks, size)``; the last one ends with `fill`."""
    return pad(values, (0, -values.shape[-1] % size), value=fill).unflatten(-1, (-1, size))
