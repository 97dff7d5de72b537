"""Evaluates a predictor on stored queries, keys and gold supports, one example in memory at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sparse_attention.attention.support import Gold, GoldReader
from sparse_attention.errors import InputError
from sparse_attention.grids import product, segment
from sparse_attention.metrics.support import METRICS, SupportMetrics
from sparse_attention.predictors.base import Features, Predictor
from sparse_attention.projections import Projections
from sparse_attention.qk.store import Example, QKReader
from sparse_attention.scriptio import ProgressBar

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
    """

    def __init__(self, qk: StrPath, gold: StrPath, projections: Projections | None = None) -> None:
        self.qk, self.gold = QKReader(qk), GoldReader(gold)
        self.info = self.qk.info
        if self.gold.info != self.info:
            raise InputError(
                f"{gold}: made from other queries and keys than those in {qk}; allowed: those made from them"
            )
        self.projections = projections or Projections.identity()

    def layer(self, layer: int) -> LayerExamples:
        """Return the examples of `layer`, read anew by every iteration."""
        return LayerExamples(self, layer)


class LayerExamples:
    """Iterates over the features and gold supports of one layer, as often as one likes."""

    def __init__(self, split: Split, layer: int) -> None:
        self.split, self.layer = split, layer

    def __len__(self) -> int:
        """Return the number of examples."""
        return self.split.info.examples

    def __iter__(self) -> Iterator[tuple[Features, Gold]]:
        """Read the examples in order."""
        for index in range(len(self)):
            example = self.split.qk.example(self.layer, index)
            yield features_of(self.layer, example, self.split.projections), self.split.gold.example(self.layer, index)


def evaluate(
    predictor: Predictor,
    validation: Split,
    grid: Mapping[str, Any],
    windows: Sequence[int] = (0,),
    keep: Sequence[str] = ("none",),
    training: Split | None = None,
) -> pd.DataFrame:
    """Return the metrics of every point of a grid with every window and kept tokens.

    Each metric is computed per example and head, then averaged over examples, in float64.

    Parameters
    ----------
    predictor : Predictor
        Fitted here, layer by layer, on `training` when it `fits`.
    validation, training : Split
        What it is evaluated and fitted on.
    grid : mapping
        Swept settings, each one value or a list; every combination is a point.
    windows, keep : sequences
        See `SupportMetrics`.

    Returns
    -------
    DataFrame
        One row per layer, head, point, window and keep: layer, head, point, window, keep, examples and the metrics.
    """
    points = product(dict(grid))
    names = [point_name(predictor, point) for point in points]
    info, shape = validation.info, (len(points), len(METRICS), len(windows) * len(keep), validation.info.heads)
    bar = ProgressBar(info.layers * info.examples, f"evaluating {predictor.name}")
    frames = []
    for layer in range(info.layers):
        if predictor.fits:
            if training is None:
                raise InputError(f"{predictor.name}: learns from the train split, and there is none")
            predictor.fit(layer, training.layer(layer))
        totals = np.zeros(shape)
        for done, (features, gold) in enumerate(validation.layer(layer), layer * info.examples + 1):
            measure = SupportMetrics(gold, features.valid, windows, keep)
            for total, support in zip(totals, predictor.supports(features, points), strict=True):
                total += measure(support)
            bar.update(done)
        rows = pd.MultiIndex.from_product(
            [[layer], range(info.heads), names, windows, keep], names=["layer", "head", "point", "window", "keep"]
        ).to_frame(index=False)
        rows["examples"] = info.examples
        rows[list(METRICS)] = totals.transpose(3, 0, 2, 1).reshape(-1, len(METRICS)) / info.examples
        frames.append(rows)
    return pd.concat(frames, ignore_index=True)


def point_name(predictor: Predictor, point: Mapping[str, Any]) -> str:
    """Return all settings of a point, fitted ones included, as a segment in the order of the class's `parameters`."""
    values = {**predictor.context.fixed, **point}
    return segment({name: values[name] for name in predictor.parameters if name in values})
