"""Block lists of every predictor: what it keeps, in the form that attention over blocks takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask

from sparse_attention.attention.blocks import blocks_that_meet
from sparse_attention.attention.supports import Buckets
from sparse_attention.block_sparse.dispatch import Attended, attend
from sparse_attention.block_sparse.extras import with_extras
from sparse_attention.block_sparse.lists import BlockLists
from sparse_attention.block_sparse.reordering import Reordering
from sparse_attention.block_sparse.visible import Visible
from sparse_attention.predictors.base import BucketPredictor, Predictor
from sparse_attention.predictors.features import Features


@dataclass(frozen=True)
class Prediction:
    """What a predictor keeps of one example.

    Attributes
    ----------
    lists : BlockLists
        The kept blocks, for a batch of one; one head where all keep the same.
    order : Reordering, optional
        The order of queries and keys for which the lists are made; None: that of the tokens.
    """

    lists: BlockLists
    order: Reordering | None = None

    def attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        alpha: float = 1.5,
        visible: Visible | None = None,
        scaling: float | None = None,
    ) -> Attended:
        """Attend over the lists; arguments and result are those of `dispatch.attend`, in the order of the tokens."""
        return attend(query, key, value, self.lists, alpha, visible, scaling, order=self.order)

    def tokens(self) -> Tensor:
        """Return the pairs of tokens that are kept, in their order, bool ``(batch, heads, queries, keys)``."""
        kept = self.lists.tokens()
        if self.order is None:
            return kept
        rows, columns = self.order.queries.argsort(-1), self.order.keys.argsort(-1)
        kept = kept.gather(-2, rows[..., None].expand_as(kept))
        return kept.gather(-1, columns[..., None, :].expand_as(kept))

    def to_block_mask(self, visible: Visible | None = None) -> BlockMask:
        """Return the lists for FlexAttention, see `BlockLists.to_block_mask`.

        When there is an order, FlexAttention must be given queries, keys and values in it.
        """
        if visible is not None and self.order is not None:
            visible = visible.reordered(self.order.queries, self.order.keys)
        return self.lists.to_block_mask(visible)


def predict_lists(
    predictor: Predictor,
    features: Features,
    point: Mapping[str, Any],
    query_block: int = 64,
    key_block: int = 64,
    *,
    window: int = 0,
    keep: str = "none",
    reorder: bool = False,
) -> Prediction:
    """Return block lists that hold the support of one point.

    Parameters
    ----------
    predictor : Predictor
        Any predictor, fitted where it must be.
    features : Features
        Queries and keys of one example. When its `pairs` are bounds (`Visible`), no array of all pairs is made, unless
        the predictor is `quadratic`.
    point : mapping
        The settings of the point.
    query_block, key_block : int
        Tokens per block, of keys a multiple of `lists.MULTIPLE`.
    window, keep
        What is always kept, see `with_extras`.
    reorder : bool
        Whether to sort queries and keys by bucket first, so that fewer blocks share a bucket.

    Raises
    ------
    ValueError
        When `reorder` is given for a predictor without buckets, or blocks are not whole positions of the features.
    """
    size = features.block_size
    if query_block % size or key_block % size:
        raise ValueError(f"blocks of {query_block} queries and {key_block} keys; allowed: multiples of {size}")
    if reorder:
        if not isinstance(predictor, BucketPredictor) or size > 1:
            raise ValueError(f"reorder: {predictor.name} has no buckets of tokens; allowed: a quantizer, single tokens")
        buckets = predictor.buckets(predictor.prepare(features), **point)
        return listed_by_bucket(features, buckets, query_block, key_block, window, keep)
    kept = predictor.block_pairs(features, query_block // size, key_block // size, **point)
    return listed(features, kept, query_block, key_block, window, keep)


def listed(
    features: Features, kept: Tensor, query_block: int, key_block: int, window: int = 0, keep: str = "none"
) -> Prediction:
    """List what `Predictor.block_pairs` gives, without blocks that hold no valid pair.

    Parameters
    ----------
    features, query_block, key_block, window, keep
        See `predict_lists`.
    kept : Tensor
        The kept pairs of blocks, bool ``(heads or 1, query blocks, key blocks)``.
    """
    size = features.block_size
    kept = kept & features.valid_blocks(query_block // size, key_block // size)
    lists = BlockLists.of(kept.reshape(1, -1, *kept.shape[-2:]), *features.tokens, query_block, key_block)
    return Prediction(with_extras(lists, window, keep, visible=_bounds(features)))


def listed_by_bucket(
    features: Features, buckets: Buckets, query_block: int, key_block: int, window: int = 0, keep: str = "none"
) -> Prediction:
    """Sort queries and keys by bucket, and list the pairs of blocks that share one; see `listed`."""
    order, visible = Reordering.by_bucket(buckets), _bounds(features)
    kept = blocks_that_meet(buckets, query_block, key_block, (order.queries[0], order.keys[0]))[None]
    if visible is not None:
        kept &= visible.reordered(order.queries, order.keys).blocks(query_block, key_block)
    lists = BlockLists.of(kept, *features.tokens, query_block, key_block)
    return Prediction(with_extras(lists, window, keep, order, visible), order)


def _bounds(features: Features) -> Visible | None:
    """Return the valid pairs of tokens as bounds; None for a mask that bounds cannot express."""
    pairs = features.pairs if features.token_valid is None else features.token_valid
    return pairs if isinstance(pairs, Visible) else Visible.of_mask(pairs[None, None])
