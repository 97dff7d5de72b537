"""Measure a masked language model that attends to predicted supports in all layers at once."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor
from transformers import PreTrainedModel

from sparse_attention.evaluation.sweep import METRICS, point_name
from sparse_attention.jobs.progress import ProgressBar
from sparse_attention.models.attention import observed
from sparse_attention.sparse_models.comparison import FullLayer, LayerComparison, full_layers
from sparse_attention.sparse_models.prediction import PredictedAttention
from sparse_attention.sparse_models.validation import Validation
from sparse_attention.training.losses import Batch, block_losses, evaluating

GOLD = ("current", "dense")
OF_HEAD = (*METRICS, "output_error", "empty_queries")


def measure_predicted(
    model: PreTrainedModel, points: Sequence[PredictedAttention], validation: Validation
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure `model` with predicted supports in all layers at once, at several points.

    Parameters
    ----------
    model : PreTrainedModel
        Loaded by `load_masked_lm`, with entmax attention.
    points : sequence of PredictedAttention
        Points of one predictor.
    validation : Validation
        The blocks.

    Returns
    -------
    losses : DataFrame
        One row per point and block: setting, window, keep, dense_empty_rows, and the columns of `Validation.table`.
    heads : DataFrame
        One row per point, layer, head and `gold`: `current` compares with full attention on the same activations of the
        layer, `dense` with the model whose attention is full in every layer. Columns setting, window, keep,
        dense_empty_rows, gold, layer, head, examples, the metrics of predicted supports, `output_error` (relative error
        of the attention output of a block, Frobenius norm) and `empty_queries` (share of queries without any key), all
        as means over blocks.
    """
    bar = ProgressBar(len(validation) * len(points), f"evaluating {points[0].predictors[0].name}")
    losses: list[list[Tensor]] = [[] for _ in points]
    sums = [_Sums(len(point.predictors)) for point in points]
    with evaluating(model):
        for number, batch in enumerate(validation.batches()):
            full = full_layers(model, batch)
            for place, point in enumerate(points):
                point.first = number * validation.batch_size
                losses[place].append(_compared_losses(model, point, batch, full, sums[place]))
                bar.update(number * len(points) + place + 1)
    return _tables(points, [validation.table(found) for found in losses], sums)


def _compared_losses(
    model: PreTrainedModel, point: PredictedAttention, batch: Batch, full: Sequence[FullLayer], sums: _Sums
) -> Tensor:
    """Return the losses of a batch under predicted supports, and add its comparisons to `sums`."""
    comparison = LayerComparison(point, full, model.config.sparse_attention["alpha"], sums.add)
    comparison.attach(model)
    with observed(comparison.observe):
        return block_losses(model, batch)


class _Sums:
    """Sums over examples of what is compared per layer, kind of gold support, and head."""

    def __init__(self, layers: int) -> None:
        self.examples, self._sums = [0] * layers, [torch.zeros(()).double()] * layers

    def add(self, layer: int, values: Tensor) -> None:
        """Add the values of one example, float64 ``(kinds of gold, values of OF_HEAD, heads)``."""
        self.examples[layer] += 1
        self._sums[layer] = self._sums[layer] + values

    def rows(self) -> pd.DataFrame:
        """Return the means, one row per kind of gold support, layer and head."""
        means = torch.stack([total / max(count, 1) for total, count in zip(self._sums, self.examples, strict=True)])
        layers, kinds, values, heads = means.shape
        axes = {"gold": GOLD[:kinds], "layer": range(layers), "head": range(heads)}
        table = pd.MultiIndex.from_product(list(axes.values()), names=list(axes)).to_frame(index=False)
        table["examples"] = self.examples[0]
        table[list(OF_HEAD)] = means.permute(1, 0, 3, 2).reshape(-1, values).numpy()
        return table


def _tables(
    points: Sequence[PredictedAttention], losses: Sequence[pd.DataFrame], sums: Sequence[_Sums]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the tables of all points, with the columns that name a point in front."""
    parts: tuple[list[pd.DataFrame], list[pd.DataFrame]] = ([], [])
    for point, of_blocks, of_heads in zip(points, losses, sums, strict=True):
        named = {"setting": point_name(point.predictors[0], point.point.setting), **point.point.extras}
        for part, table in zip(parts, (of_blocks, of_heads.rows()), strict=True):
            for place, (name, value) in enumerate(named.items()):
                table.insert(place, name, value)
            part.append(table)
    return pd.concat(parts[0], ignore_index=True), pd.concat(parts[1], ignore_index=True)
