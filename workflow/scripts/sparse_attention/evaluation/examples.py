"""Read the examples of a split as features and gold supports, one at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from sparse_attention.errors import InputError
from sparse_attention.predictors.base import Predictor
from sparse_attention.predictors.features import Features, block_features
from sparse_attention.projections.model import Projections
from sparse_attention.qk.gold import Gold, GoldReader, GoldStore, block_gold
from sparse_attention.qk.store import Example, QKReader, QKStore

StrPath = str | os.PathLike[str]


def features_of(layer: int, example: Example, projections: Projections) -> Features:
    """Return the features of a stored example in one layer."""
    queries, keys = projections.project(layer, example.queries, example.keys)
    return Features(layer, example.index, queries, keys, example.queries, example.keys, example.valid)


class Split:
    """The features and gold supports of one split's examples.

    Parameters
    ----------
    qk, gold : path-like
        Folders of the queries and keys, and of the gold supports, of the split.
    projections : Projections, optional
        Projections of queries and keys; default: the identity.
    block_size : int
        Number of tokens that are one position for a predictor.

    Raises
    ------
    InputError
        When the gold supports were computed from other queries and keys.
    """

    qk: QKStore
    gold: GoldStore

    def __init__(self, qk: StrPath, gold: StrPath, projections: Projections | None = None, block_size: int = 1) -> None:
        self.qk, self.gold = QKReader(qk), GoldReader(gold)
        self.info, self.block_size = self.qk.info, block_size
        if self.gold.info != self.info:
            raise InputError(
                f"{gold}: computed from other queries and keys; allowed: gold supports of the queries and keys in {qk}"
            )
        self.projections = projections or Projections.identity()

    def layer(self, layer: int) -> LayerExamples:
        """Return the examples of `layer`; each iteration over them reads the files again."""
        return LayerExamples(self, layer)


class LayerExamples:
    """Iterable of the features and gold supports of one layer, by token or by block; it can be iterated repeatedly."""

    def __init__(self, split: Split, layer: int) -> None:
        self.split, self.layer = split, layer

    def __len__(self) -> int:
        """Return the number of examples."""
        return self.split.info.examples

    def __iter__(self) -> Iterator[tuple[Features, Gold]]:
        """Yield the features and gold supports of all examples in order, by block when the split has a block size."""
        size = self.split.block_size
        for index in range(len(self)):
            features, gold = self.tokens(index)
            yield (features, gold) if size == 1 else (block_features(features, size), block_gold(gold, size))

    def tokens(self, index: int) -> tuple[Features, Gold]:
        """Read the features and the gold support of one example, by token."""
        example = self.split.qk.example(self.layer, index)
        return features_of(self.layer, example, self.split.projections), self.split.gold.example(self.layer, index)


def fit_layer(predictor: Predictor, layer: int, training: Split | None) -> None:
    """Fit a predictor to `layer` of the train split if it `fits`; raise `InputError` when there is no such split."""
    if not predictor.fits:
        return
    if training is None:
        raise InputError(f"predictors.{predictor.name}: there is no train split to learn from; allowed: a job with one")
    predictor.fit(layer, training.layer(layer))


def on_device(features: Features, device: str) -> Features:
    """Return the features with all tensors on `device`."""
    moved: dict[str, Any] = {
        name: tensor.to(device) for name, tensor in vars(features).items() if isinstance(tensor, torch.Tensor)
    }
    return replace(features, **moved)
