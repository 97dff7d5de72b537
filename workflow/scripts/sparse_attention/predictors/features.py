"""The features of an example, from which predictors predict its support."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from sparse_attention.attention.blocks import block_any, block_vectors


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
    valid : Tensor
        Bool ``(queries, keys)``: the pairs that attention may use.
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
    valid: Tensor
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
    return replace(features, **vectors, valid=valid, block_size=size, token_valid=features.valid)
