"""The examples of a split as predictors see them: features and gold supports, read one at a time."""

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
    """Return an example as predictors see it."""
    queries, keys = projections.project(layer, example.queries, example.keys)
    return Features(layer, example.index, queries, keys, example.queries, example.keys, example.valid)


class Split:
    """The features and gold supports of one split's examples.

    Parameters
    ----------
    qk, gold : path-like
        The split's folders of queries and keys and of gold supports.
    projections : Projections, optional
        Default: the identity.
    block_size : int
        Tokens that a predictor sees as one position.
    """

    qk: QKStore
    gold: GoldStore

    def __init__(self, qk: StrPath, gold: StrPath, projections: Projections | None = None, block_size: int = 1) -> None:
        self.qk, self.gold = QKReader(qk), GoldReader(gold)
        self.info, self.block_size = self.qk.info, block_size
        if self.gold.info != self.info:
            raise InputError(
                f"{gold}: made from other queries and keys than those in {qk}; allowed: those made from them"
            )
        self.projections = projections or Projections.identity()

    def layer(self, layer: int) -> LayerExamples:
        """Return the examples of `layer`, read anew by every iteration."""
        return LayerExamples(self, layer)


class LayerExamples:
    """The features and gold supports of one layer: iterate as often as you like, by block where these are set."""

    def __init__(self, split: Split, layer: int) -> None:
        self.split, self.layer = split, layer

    def __len__(self) -> int:
        """Return the number of examples."""
        return self.split.info.examples

    def __iter__(self) -> Iterator[tuple[Features, Gold]]:
        """Read the examples in order, as predictors see them."""
        size = self.split.block_size
        for index in range(len(self)):
            features, gold = self.tokens(index)
            yield (features, gold) if size == 1 else (block_features(features, size), block_gold(gold, size))

    def tokens(self, index: int) -> tuple[Features, Gold]:
        """Read one example, by token."""
        example = self.split.qk.example(self.layer, index)
        return features_of(self.layer, example, self.split.projections), self.split.gold.example(self.layer, index)


def fit_layer(predictor: Predictor, layer: int, training: Split | None) -> None:
    """Let a predictor that learns do so from `layer` of the train split; `InputError` when there is no such split."""
    if not predictor.fits:
        return
    if training is None:
        raise InputError(f"{predictor.name}: learns from the train split, and there is none")
    predictor.fit(layer, training.layer(layer))


def on_device(features: Features, device: str) -> Features:
    """Return features whose tensors lie on `device`."""
    moved: dict[str, Any] = {
        name: tensor.to(device) for name, tensor in vars(features).items() if isinstance(tensor, torch.Tensor)
    }
    return replace(features, **moved)
