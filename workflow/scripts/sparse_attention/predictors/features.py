"""The features of an example, from which predictors predict its support."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from sparse_attention.attention.blocks import block_any, block_vectors
from sparse_attention.block_sparse.visible import Visible


@dataclass(frozen=True)
class Features:
    """Queries and keys of some heads of one example in one layer.

    A position is a token, or a block of `block_size` tokens; the vector of a block is the concatenation of the vectors
    of its tokens.

    Attributes
    ----------
    layer, index : int
        Numbers of the layer and of the example.
    queries, keys : Tensor
        Projected vectors, ``(heads, queries, dim)`` and ``(heads, keys, dim)``; without a projection the raw vectors.
    raw_queries, raw_keys : Tensor
        Vectors before the projection, ``(heads, queries, head_dim)`` and ``(heads, keys, head_dim)``.
    pairs : Tensor or Visible
        The pairs that attention may use: bool ``(queries, keys)``, or bounds of positions, of one batch and one head,
        which take no memory for pairs.
    first_head : int
        Number, in the layer, of the first of these heads.
    block_size : int
        Tokens per position.
    token_valid : Tensor, optional
        With blocks, bool ``(query tokens, key tokens)``: the token pairs that attention may use.
    """

    layer: int
    index: int
    queries: Tensor
    keys: Tensor
    raw_queries: Tensor
    raw_keys: Tensor
    pairs: Tensor | Visible
    first_head: int = 0
    block_size: int = 1
    token_valid: Tensor | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Numbers of heads, queries and keys."""
        return self.raw_queries.shape[0], self.raw_queries.shape[1], self.raw_keys.shape[1]

    @property
    def heads(self) -> slice:
        """The numbers of these heads in the layer, to index tensors that were fitted for all heads."""
        return slice(self.first_head, self.first_head + self.raw_queries.shape[0])

    @property
    def device(self) -> torch.device:
        """The device of the vectors."""
        return self.raw_keys.device

    @property
    def tokens(self) -> tuple[int, int]:
        """Numbers of tokens of queries and of keys."""
        return self.shape[1:] if self.token_valid is None else (self.token_valid.shape[0], self.token_valid.shape[1])

    @functools.cached_property
    def valid(self) -> Tensor:
        """The pairs that attention may use, bool ``(queries, keys)``; of bounds they are computed when first read."""
        return self.pairs.mask()[0, 0] if isinstance(self.pairs, Visible) else self.pairs

    def valid_at(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Return whether some pairs are valid, without computing others.

        Parameters
        ----------
        queries, keys : Tensor
            int64 positions, of shapes that broadcast to that of the result; positions behind the end are not valid.
        """
        _, rows, columns = self.shape
        inside = (queries < rows) & (keys < columns)
        queries, keys = queries.clamp(max=rows - 1), keys.clamp(max=columns - 1)
        if isinstance(self.pairs, Tensor):
            return self.pairs[queries, keys] & inside
        first, last, position = (x[0, 0] for x in (self.pairs.first, self.pairs.last, self.pairs.position))
        return (first[queries] <= position[keys]) & (position[keys] <= last[queries]) & inside

    def valid_blocks(self, query_block: int, key_block: int) -> Tensor:
        """Return which pairs of blocks hold a valid pair, bool ``(query blocks, key blocks)``.

        Of bounds, see `Visible.blocks`, it may be true for others.
        """
        if isinstance(self.pairs, Visible):
            return self.pairs.blocks(query_block, key_block)[0, 0]
        return block_any(self.pairs, query_block, key_block)

    def whole_blocks(self, query_block: int, key_block: int) -> Tensor:
        """Return which pairs of blocks hold valid pairs only, bool ``(query blocks, key blocks)``.

        Blocks that the end cuts are not whole.
        """
        if isinstance(self.pairs, Visible):
            return self.pairs.whole_blocks(query_block, key_block)[0, 0]
        _, queries, keys = self.shape
        behind = pad(~self.pairs, (0, -keys % key_block, 0, -queries % query_block), value=True)
        return ~block_any(behind, query_block, key_block)

    @functools.cached_property
    def valid_pairs(self) -> int:
        """Number of valid pairs."""
        return int(self.valid.sum())

    def part(self, heads: slice) -> Features:
        """Return the features of a slice of these heads."""
        names = ("queries", "keys", "raw_queries", "raw_keys")
        return replace(self, first_head=self.first_head + heads.start, **{n: getattr(self, n)[heads] for n in names})


def block_features(features: Features, size: int) -> Features:
    """Return the features of blocks of `size` tokens; a pair of blocks is valid when any of its token pairs is."""
    names = ("queries", "keys", "raw_queries", "raw_keys")
    vectors: dict[str, Any] = {name: block_vectors(getattr(features, name), size) for name in names}
    valid = block_any(features.valid, size)
    return replace(features, **vectors, pairs=valid, block_size=size, token_valid=features.valid)
