"""Evaluate a pruned classifier in each stage, with tokens hidden and removed, and baselines that keep as many."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from torch import Tensor

from sparse_attention.data.code.tokens import CodeTokens
from sparse_attention.metrics.classification import THRESHOLD
from sparse_attention.metrics.flops import LayerShape, layer_multiply_adds, pruned_multiply_adds
from sparse_attention.pruning.matching import equal_ramp, equal_shares, shortened
from sparse_attention.pruning.model import PrunedClassifier
from sparse_attention.pruning.prediction import Predicted, predict

logger = logging.getLogger(__name__)

PREDICTIONS = ("system", "way", "function", "label", "probability", "tokens", "gflops", "dense_gflops")
"""Columns of the table of predictions."""
WAYS = ("masked", "dropped")
KEPT = ("system", "way", "function", "layer", "kept")
"""Columns of the table of kept tokens."""
Tables = tuple[pd.DataFrame, pd.DataFrame]


class Row(NamedTuple):
    """Predictions of a system (`dense`, `soft`, `hard` or a baseline) with pruned tokens `masked` or `dropped`."""

    system: str
    way: str
    predicted: Predicted


@dataclass(frozen=True)
class Models:
    """The models of the stages; `soft` is None where the pruning has no soft stage."""

    dense: PrunedClassifier
    soft: PrunedClassifier | None
    hard: PrunedClassifier


def evaluate_dense(model: PrunedClassifier, tokens: CodeTokens, batch_size: int) -> Tables:
    """Classify the test functions with nothing pruned, padding hidden and removed.

    Parameters
    ----------
    model : PrunedClassifier
    tokens : CodeTokens
    batch_size : int

    Returns
    -------
    predictions : DataFrame
        One row per system, way and function, columns `PREDICTIONS`. `gflops` is the cost of all layers in this way,
        `dense_gflops` that of the library's layers for the same function without padding; both in 10⁹ operations.
    kept : DataFrame
        One row per system, way, function and layer, columns `KEPT`: the number of tokens (soft: the sum of keep
        weights) that the layer leaves.
    """
    test = tokens.of("test").tolist()
    results = ((way, predict(model, tokens, test, "dense", batch_size, way == "dropped")) for way in WAYS)
    return _tables((Row("dense", way, predicted) for way, predicted in results), model, tokens)


def evaluate_pruned(
    models: Models, tokens: CodeTokens, batch_size: int, weights: Tensor | None = None, seed: int = 0
) -> Tables:
    """Classify the test functions with the soft and the hard model, and with baselines.

    Parameters
    ----------
    models : Models
    tokens : CodeTokens
    batch_size : int
    weights : Tensor, optional
        float64 ``(vocabulary,)``, from `matching.token_weights`. With it, baselines that keep as many tokens are
        evaluated too; the share that the hard model keeps is measured on validation.
    seed : int
        Seed of the baseline `random`.

    Returns
    -------
    tuple of DataFrame
        See `evaluate_dense`.
    """
    return _tables(_rows(models, tokens, batch_size, weights, seed), models.hard, tokens)


def _tables(rows: Iterator[Row], model: PrunedClassifier, tokens: CodeTokens) -> Tables:
    predictions, kept = [], []
    for row in rows:
        tables = row_tables(row, model, tokens.lengths.numpy()[row.predicted.functions])
        predictions.append(tables[0])
        kept.append(tables[1])
        accuracy = float(((row.predicted.probabilities >= THRESHOLD) == (row.predicted.labels == 1)).mean())
        logger.info("%s, %s: accuracy %.3f, kept %.3f", row.system, row.way, accuracy, row.predicted.kept_share)
    return pd.concat(predictions, ignore_index=True), pd.concat(kept, ignore_index=True)


def row_tables(row: Row, model: PrunedClassifier, lengths: np.ndarray) -> Tables:
    """Return the tables of `evaluate_dense` for one system and way.

    Parameters
    ----------
    row : Row
        The system, the way and its predictions.
    model : PrunedClassifier
        Gives the sizes of the layers.
    lengths : ndarray
        int64 ``(functions,)``, number of tokens of each function before any was left out.
    """
    named = {"system": row.system, "way": row.way, "function": row.predicted.functions}
    measured = {
        "label": row.predicted.labels,
        "probability": row.predicted.probabilities,
        "tokens": row.predicted.lengths,
    }
    cost = costs(row, shape_of(model), model.classifier.config.num_attention_heads, lengths)
    return pd.DataFrame({**named, **measured, **cost})[list(PREDICTIONS)], _kept_table(row)


def _rows(models: Models, tokens: CodeTokens, batch_size: int, weights: Tensor | None, seed: int) -> Iterator[Row]:
    test = tokens.of("test").tolist()
    if models.soft is not None:
        yield Row("soft", "masked", predict(models.soft, tokens, test, "soft", batch_size))
    yield Row("hard", "masked", predict(models.hard, tokens, test, "hard", batch_size))
    if not models.hard.can_drop:
        return
    yield Row("hard", "dropped", predict(models.hard, tokens, test, "hard", batch_size, drop=True))
    if weights is None:
        return
    validation = tokens.of("validation").tolist()
    on_validation = predict(models.hard, tokens, validation, "hard", batch_size, drop=True)
    shares = (on_validation.kept / on_validation.lengths[:, None]).mean(0)
    baselines = {
        "manual": equal_ramp(models.hard, tokens, validation, on_validation.kept_share, batch_size),
        "topk": equal_shares(models.hard, shares.tolist(), "topk"),
        "random": equal_shares(models.hard, shares.tolist(), "random", seed),
    }
    for name, model in baselines.items():
        yield Row(name, "dropped", predict(model, tokens, test, "hard", batch_size, drop=True))
    shorter = shortened(tokens, test, weights, on_validation.kept_share)
    yield Row("text", "dropped", predict(models.dense, shorter, test, "dense", batch_size, drop=True))


def shape_of(model: PrunedClassifier) -> LayerShape:
    """Return the sizes that the cost of a layer depends on, with the window of the first layer for all layers."""
    config = model.classifier.config
    window = config.attention_window[0] if config.model_type == "longformer" else None
    return LayerShape(config.hidden_size, config.intermediate_size, window)


def costs(row: Row, shape: LayerShape, heads: int, lengths: np.ndarray) -> dict[str, np.ndarray]:
    """Return `gflops` and `dense_gflops`, float64 ``(functions,)``: a multiply-add counts as two operations.

    Hidden tokens save nothing. Where tokens are removed, the last layer computes CLS alone, the only state that the
    logits depend on.

    Parameters
    ----------
    row : Row
        The system, the way and its predictions.
    shape : LayerShape
        Sizes of a layer.
    heads : int
        Attention heads of a layer.
    lengths : ndarray
        int64 ``(functions,)``, number of tokens of each function before any was left out.
    """
    layers = row.predicted.kept.shape[1]
    dense = layers * layer_multiply_adds(shape, lengths, lengths)
    if row.way == "masked":
        return {"gflops": 2e-9 * dense, "dense_gflops": 2e-9 * dense}
    needed = pruned_multiply_adds(shape, row.predicted.lengths, row.predicted.kept.T, heads)
    return {"gflops": 2e-9 * needed, "dense_gflops": 2e-9 * dense}


def _kept_table(row: Row) -> pd.DataFrame:
    functions, layers = row.predicted.kept.shape
    return pd.DataFrame(
        {
            "system": row.system,
            "way": row.way,
            "function": np.repeat(row.predicted.functions, layers),
            "layer": np.tile(np.arange(layers), functions),
            "kept": row.predicted.kept.ravel(),
        }
    )[list(KEPT)]
