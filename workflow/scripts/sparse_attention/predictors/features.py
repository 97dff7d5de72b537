"""An example as predictors see it."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    pass
from sparse_attention.attention.blocks import block_any, block_vectors


@dataclass(frozen=True)
class Features:
    """Some heads of one example in one layer as predictors see them.

    Attributes
    ----------
    layer, index : int
        The layer and the example.
    queries, keys : Tensor
        Projected, `(heads, queries, dim)` and `(heads, keys, dim)`; the raw ones without a projection.
    raw_queries, raw_keys : Tensor
        `(heads, queries, head_dim)` and `(heads, keys, head_dim)`.
    valid : Tensor
        Pairs that may attend, bool `(queries, keys)`.
    first_head : int
        Which of the layer's heads the first one here is.
    block_size : int
        Tokens per position; above 1, vectors are those of a block's tokens, one after the other.
    token_valid : Tensor, optional
        With blocks, the pairs of tokens that may attend.
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
        """Number of heads, queries and keys."""
        return self.raw_queries.shape[0], self.raw_queries.shape[1], self.raw_keys.shape[1]

    @property
    def heads(self) -> slice:
        """Where these heads lie among the layer's, to cut out what was fitted for them."""
        return slice(self.first_head, self.first_head + self.raw_queries.shape[0])

    @functools.cached_property
    def valid_pairs(self) -> int:
        """Number of pairs that may attend."""
        return int(self.valid.sum())

    def part(self, heads: slice) -> Features:
        """Return the features of some of these heads."""
        names = ("queries", "keys", "raw_queries", "raw_keys")
        return replace(self, first_head=self.first_head + heads.start, **{n: getattr(self, n)[heads] for n in names})


def block_features(features: Features, size: int) -> Features:
    """Return an example's features by block; a pair of blocks is valid when any of its token pairs is."""
    names = ("queries", "keys", "raw_queries", "raw_keys")
    vectors: dict[str, Any] = {name: block_vectors(getattr(features, name), size) for name in names}
    valid = block_any(features.valid, size)
    return replace(features, **vectors, valid=valid, block_size=size, token_valid=features.valid)
