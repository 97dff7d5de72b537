"""Predict, inside a model, which keys every query of every layer attends to."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from sparse_attention.attention.masks import keep_mask, window_mask
from sparse_attention.attention.supports import Levels, PackedSupport, Support
from sparse_attention.block_sparse.visible import Visible
from sparse_attention.errors import InputError
from sparse_attention.evaluation.block_lists import predict_lists
from sparse_attention.evaluation.examples import features_of
from sparse_attention.models.predicted import set_predictors
from sparse_attention.predictors.base import BucketPredictor, Predictor
from sparse_attention.predictors.features import Features, block_features
from sparse_attention.projections.model import Projections
from sparse_attention.qk.store import Example
from sparse_attention.sparse_models.points import Point


@dataclass(frozen=True)
class Prediction:
    """What is predicted for one example of a batch in one layer.

    Attributes
    ----------
    row : int
        Place of the example in the batch.
    tokens : slice
        The tokens of the example, without padding.
    features, positions : Features
        What it was predicted from, by token, and by position of the predictor (a block of tokens, or again a token).
    support : Support
        The predictor's own support, by token or by block of tokens.
    kept : Tensor
        bool ``(heads, queries, keys)``: the pairs of tokens in the support, the window or the kept tokens.
    """

    row: int
    tokens: slice
    features: Features
    positions: Features
    support: Support
    kept: Tensor


class PredictedAttention:
    """The predictors of all layers of a model at one point.

    Parameters
    ----------
    predictors : sequence of Predictor
        One for each layer, fitted if it `fits`.
    point : Point
        The setting at which they predict.
    projections : Projections, optional
        Projections of queries and keys; by default none.
    block_size : int
        Number of tokens that are one position for the predictors.

    Attributes
    ----------
    first : int
        Number of the first example of the next batch. Predictors that draw random numbers draw others for each number;
        it stays 0 unless it is set.
    block : int
        Tokens of a block of queries and of keys where attention is computed over blocks, a multiple of 16.
    """

    def __init__(
        self,
        predictors: Sequence[Predictor],
        point: Point,
        projections: Projections | None = None,
        block_size: int = 1,
    ) -> None:
        self.predictors, self.point, self.block_size = tuple(predictors), point, block_size
        self.projections, self.first, self.block = projections or Projections.identity(), 0, 64

    def attach(self, model: PreTrainedModel) -> None:
        """Let `model` attend to what is predicted; raises as `set_predictors`."""
        alpha, layers = model.config.sparse_attention["alpha"], range(len(self.predictors))
        set_predictors(
            model,
            [functools.partial(self.support, layer) for layer in layers],
            [functools.partial(self.attend_in_blocks, layer, alpha=alpha) for layer in layers],
        )

    def support(self, layer: int, queries: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
        """Return the pairs that `layer` uses; arguments and result are those of `models.predicted.Predict`."""
        shape = (*queries.shape[:3], keys.shape[2])
        return self.combined(self.predictions(layer, queries, keys, mask), mask.new_zeros(shape))

    def combined(self, predictions: Iterable[Prediction], nothing: Tensor) -> Tensor:
        """Return the pairs that attention uses of all examples; `nothing` is False everywhere, and is changed."""
        for one in predictions:
            nothing[one.row, :, one.tokens, one.tokens] = self.used(one)
        return nothing

    def attend_in_blocks(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scaling: float, alpha: float
    ) -> Tensor:
        """Attend to every key of the blocks that hold a predicted pair; see `models.predicted.Attend`.

        The blocks hold more than the support, so a result differs from that of `support`: it is at least as close to
        attention to all keys. No array of all pairs of tokens is made, unless the predictor is `quadratic`. Quantizers
        of tokens cut blocks in the order of buckets, which holds their support in fewer blocks, unless neighbours or
        special tokens are kept too, which that order would spread over many.
        """
        neighbours = self.point.window > 0 or self.point.keep != "none"
        by_bucket = self.block_size == 1 and not neighbours and isinstance(self.predictors[layer], BucketPredictor)
        output = torch.zeros_like(value)
        for row in range(len(query)):
            tokens = slice(0, query.shape[2]) if mask is None else _tokens(mask, row)
            if tokens is None:
                continue
            visible = _seen(mask, row, tokens)
            part = (slice(row, row + 1), slice(None), tokens)
            vectors = query[part], key[part], value[part]
            raw_queries, raw_keys = (one[0].float() for one in vectors[:2])
            projected = self.projections.project(layer, raw_queries, raw_keys)
            features = Features(layer, self.first + row, *projected, raw_queries, raw_keys, visible)
            positions = features if self.block_size == 1 else block_features(features, self.block_size)
            given = self.predictors[layer], positions, self.point.setting, self.block, self.block
            lists = predict_lists(*given, window=self.point.window, keep=self.point.keep, reorder=by_bucket)
            output[part] = lists.attend(*vectors, alpha, visible, scaling).output
        return output

    def used(self, prediction: Prediction) -> Tensor:
        """Return the pairs that attention uses, bool ``(heads, queries, keys)``."""
        if not self.point.dense_empty_rows:
            return prediction.kept
        return prediction.kept | (~prediction.kept.any(-1, keepdim=True) & prediction.features.valid)

    def predictions(self, layer: int, queries: Tensor, keys: Tensor, mask: Tensor) -> Iterator[Prediction]:
        """Yield what is predicted for each example; arguments are those of `support`."""
        predictor = self.predictors[layer]
        for row in range(len(queries)):
            tokens = _tokens(mask, row)
            if tokens is None:
                continue
            valid = mask[row, 0, tokens, tokens]
            example = Example(self.first + row, queries[row, :, tokens].float(), keys[row, :, tokens].float(), valid)
            features = features_of(layer, example, self.projections)
            positions = features if self.block_size == 1 else block_features(features, self.block_size)
            _, support = next(iter(predictor.supports(positions, [self.point.setting])))
            yield Prediction(row, tokens, features, positions, support, self._kept(support, valid))

    def _kept(self, support: Support, valid: Tensor) -> Tensor:
        """Return the pairs of tokens in a support or kept besides it, bool ``(heads, queries, keys)``."""
        pairs, size = _pairs(support), self.block_size
        pairs = pairs | _extras(*pairs.shape[1:], self.point.window, self.point.keep).to(pairs.device)
        if size > 1:
            pairs = pairs.repeat_interleave(size, 1).repeat_interleave(size, 2)[:, : len(valid), : valid.shape[1]]
        return pairs & valid


def _tokens(mask: Tensor, row: int) -> slice | None:
    """Return the tokens of an example without padding; None when it has none."""
    real = mask[row, 0].any(0).nonzero()[:, 0]
    return slice(int(real[0]), int(real[-1]) + 1) if len(real) else None


def _seen(mask: Tensor | None, row: int, tokens: slice) -> Visible:
    """Return which tokens of an example see which.

    Raises
    ------
    InputError
        When the mask is none of causal, full or a sliding window.
    """
    if mask is None:
        return Visible.everything(1, tokens.stop, tokens.stop)
    visible = Visible.of_mask(mask[row : row + 1, :, tokens, tokens])
    if visible is None:
        raise InputError("model: unknown attention mask; allowed over blocks: full, causal or a sliding window")
    return visible


def _pairs(support: Support) -> Tensor:
    """Return the pairs of one support, bool ``(heads, queries, keys)``."""
    if isinstance(support, Levels):
        return support.first == 0
    assert isinstance(support, PackedSupport)
    return support.unpacked()


@functools.lru_cache(maxsize=8)
def _extras(queries: int, keys: int, window: int, keep: str) -> Tensor:
    return window_mask(queries, keys, window) | keep_mask(queries, keys, keep)
