"""Compare the attention of every layer under predicted supports with full attention."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from sparse_attention.attention.blocks import block_any, block_counts
from sparse_attention.attention.entmax import probabilities
from sparse_attention.evaluation.counts import GoldPairs, SupportCounts
from sparse_attention.evaluation.frame import Frame
from sparse_attention.evaluation.metrics.registry import metric_values
from sparse_attention.models.attention import NAME, Observation, observed
from sparse_attention.models.masked_lm import base_output
from sparse_attention.models.predicted import set_predictors
from sparse_attention.qk.gold import Gold
from sparse_attention.sparse_models.prediction import PredictedAttention, Prediction
from sparse_attention.training.losses import Batch


@dataclass(frozen=True)
class FullAttention:
    """Full attention of one layer to one example.

    Attributes
    ----------
    gold : Gold
        Its support and probabilities, in float32.
    output : Tensor
        ``(heads, queries, value_dim)``.
    """

    gold: Gold
    output: Tensor

    @classmethod
    def of(cls, probability: Tensor, values: Tensor) -> FullAttention:
        """Make it from probabilities ``(heads, queries, keys)`` and values ``(heads, keys, value_dim)``."""
        support = probability > 0
        return cls(Gold(support.cpu(), probability[support].float().cpu()), probability @ values)


FullLayer = dict[int, FullAttention]
"""Full attention of one layer to the examples of a batch, by their row."""


def full_layers(model: PreTrainedModel, batch: Batch) -> list[FullLayer]:
    """Run a batch with attention to all keys, and return what every layer computes."""
    model.set_attn_implementation(NAME)
    layers: list[FullLayer] = []

    def keep(observation: Observation) -> None:
        lengths = batch["attention_mask"].sum(1).tolist()
        layers.append(
            {
                row: FullAttention.of(
                    observation.probabilities[row, :, :length, :length], observation.values[row, :, :length]
                )
                for row, length in enumerate(lengths)
            }
        )

    inputs = (batch[name].to(model.device) for name in ("input_ids", "attention_mask"))
    with observed(keep), torch.no_grad():
        base_output(model, *inputs)
    return layers


class LayerComparison:
    """Compare the layers of one pass of a model under predicted supports with full attention.

    Parameters
    ----------
    predicted : PredictedAttention
        What the layers attend to.
    full : sequence of FullLayer
        What the layers compute where attention is full in every layer.
    alpha : float
        Alpha of the entmax.
    add : callable
        Gets the number of the layer and the values of one example, float64
        ``(kinds of gold, metrics + output_error + empty_queries, heads)``; the kinds are current and dense.
    """

    def __init__(
        self,
        predicted: PredictedAttention,
        full: Sequence[FullLayer],
        alpha: float,
        add: Callable[[int, Tensor], None],
    ) -> None:
        self.predicted, self.full, self.alpha, self.add = predicted, full, alpha, add
        self._now: tuple[int, list[Prediction]] = (0, [])

    def attach(self, model: PreTrainedModel) -> None:
        """Let `model` attend to what is predicted, and remember the predictions until `observe` is called."""
        layers = range(len(self.predicted.predictors))
        set_predictors(model, [functools.partial(self._predict, layer) for layer in layers])

    def _predict(self, layer: int, queries: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
        found = list(self.predicted.predictions(layer, queries, keys, mask))
        self._now = layer, found
        return self.predicted.combined(found, mask.new_zeros(*queries.shape[:3], keys.shape[2]))

    def observe(self, observation: Observation) -> None:
        """Compare the layer that was observed."""
        layer, predictions = self._now
        for one in predictions:
            part = (one.row, slice(None), one.tokens)
            values = observation.values[part]
            full = full_attention(one, values, self.alpha)
            output = observation.probabilities[(*part, one.tokens)] @ values
            compared = [full, self.full[layer][one.row]]
            rows = [[*self._metrics(layer, one, of.gold), relative_error(output, of.output)] for of in compared]
            empty = (~one.kept.any(-1)).double().mean(-1).cpu().numpy()
            self.add(layer, torch.from_numpy(np.stack([np.stack([*row, empty]) for row in rows])))

    def _metrics(self, layer: int, one: Prediction, gold: Gold) -> np.ndarray:
        """Return the metrics of the predicted support, float64 ``(metrics, heads)``, as `evaluation.sweep` does."""
        predicted, predictor = self.predicted, self.predicted.predictors[layer]
        _, queries, keys = one.features.shape
        projecting = predicted.projections.cost * (queries + keys) if "projection" in predictor.needs else 0.0
        cost = projecting + predictor.cost(one.positions, **predicted.point.setting)
        frame = _frame(one.features.valid, predicted.point.window, predicted.point.keep, predicted.block_size)
        counter = SupportCounts(GoldPairs.of(gold, predicted.block_size), frame)
        counts, _ = counter(one.support, cost / one.features.raw_queries.shape[-1])
        return metric_values(counts)[0, :, 0]


def full_attention(prediction: Prediction, values: Tensor, alpha: float) -> FullAttention:
    """Return full attention on the queries and keys from which a support was predicted."""
    features = prediction.features
    scores = features.raw_queries @ features.raw_keys.mT * features.raw_keys.shape[-1] ** -0.5
    return FullAttention.of(probabilities(scores.masked_fill_(~features.valid, -torch.inf), alpha), values.float())


def relative_error(output: Tensor, wanted: Tensor) -> np.ndarray:
    """Return the Frobenius norm of the difference over that of `wanted`, of each head, float64 ``(heads,)``."""
    difference, size = ((x.double().square().sum((-2, -1))).sqrt() for x in (output - wanted, wanted))
    return (difference / size.clamp_min(torch.finfo(torch.float64).tiny)).cpu().numpy()


def _frame(valid: Tensor, window: int, keep: str, block_size: int) -> Frame:
    """Return the frame of an example, with its window and kept tokens as the only extra."""
    if block_size == 1:
        return Frame(valid, [window], [keep])
    return Frame(block_any(valid, block_size), [window], [keep], block_counts(valid, block_size).to(valid.device))
