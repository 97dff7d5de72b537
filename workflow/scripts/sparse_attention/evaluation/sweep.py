"""Evaluate a predictor on stored queries, keys and gold supports, a few heads of an example at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from sparse_attention.attention.blocks import block_any, block_counts
from sparse_attention.errors import InputError
from sparse_attention.evaluation.counts import GoldPairs, SupportCounts
from sparse_attention.evaluation.examples import Split, fit_layer, on_device
from sparse_attention.evaluation.frame import OFFSETS, Frame, offset_names
from sparse_attention.evaluation.metrics.registry import metric_values
from sparse_attention.files.segments import segment
from sparse_attention.jobs.progress import ProgressBar
from sparse_attention.metrics.facts import support_metrics
from sparse_attention.predictors.base import Predictor
from sparse_attention.predictors.features import Features, block_features
from sparse_attention.qk.gold import Gold, block_gold
from sparse_attention.qk.store import QKInfo
from sparse_attention.settings.grids import as_list, product

METRICS = tuple(support_metrics())
# Query–key pairs that are computed at once, which limits the number of heads. On a CPU they should fit its cache.
PAIRS_AT_ONCE = {"cpu": 2**20, "cuda": 2**27}


class Evaluation(NamedTuple):
    """The tables of an evaluation.

    Attributes
    ----------
    table : DataFrame
        layer, head, point, window, keep, grid (`token`; with blocks also `block`), examples, and the metrics as means
        over examples.
    documents : DataFrame
        document, point, window, keep, examples, and the metrics on the token grid as means over the examples of the
        document, layers and heads.
    offsets : DataFrame
        layer, point, distance, edges: number of predicted pairs, without windows and kept tokens, by distance of query
        and key, as means over examples and heads; the point `gold` is the gold support.
    """

    table: pd.DataFrame
    documents: pd.DataFrame
    offsets: pd.DataFrame


def evaluate(
    predictor: Predictor,
    validation: Split,
    grid: Mapping[str, Any],
    windows: Sequence[int] = (0,),
    keep: Sequence[str] = ("none",),
    training: Split | None = None,
    device: str = "cpu",
    threads: int = 1,
) -> Evaluation:
    """Evaluate every point of a grid with every window and every choice of kept tokens.

    Each metric is computed per example and head, then averaged over examples, in float64.

    Parameters
    ----------
    predictor : Predictor
        The predictor; when it `fits`, it is fitted here to each layer of `training`.
    validation : Split
        Examples to evaluate on.
    training : Split, optional
        Examples to fit to.
    grid : mapping
        Settings that are swept, each a value or a list; every combination is a point.
    windows, keep : sequences
        See `Frame`.
    device : str
        Device on which supports are predicted.
    threads : int
        Number of examples that are evaluated at the same time.

    Raises
    ------
    InputError
        When a predictor that learns has no train split, or a list in the grid has not one number per head.
    """
    projecting = validation.projections.cost if "projection" in predictor.needs else 0.0
    check_lists(predictor, grid, validation.info.heads)
    sweep = Sweep(predictor, product(dict(grid)), windows, keep, validation.block_size, projecting, device)
    info, sums = validation.info, _Sums(sweep, validation.info)
    bar = ProgressBar(info.layers * info.examples, f"evaluating {predictor.name}")
    with ThreadPoolExecutor(threads) as pool:
        for layer in range(info.layers):
            fit_layer(predictor, layer, training)
            examples = validation.layer(layer)
            results = pool.map(lambda index, of=examples: sweep.measure(*of.tokens(index)), range(len(examples)))
            for index, result in enumerate(results):
                sums.add(layer, index, *result)
                bar.update(layer * info.examples + index + 1)
    return sums.tables()


class Sweep:
    """Measure all points of a grid on one example after the other.

    Parameters
    ----------
    predictor : Predictor
        The predictor, fitted if it `fits`.
    points : list of dict
        Swept settings of each point.
    windows, keep : sequences
        See `Frame`.
    block_size : int
        Number of tokens that are one position for the predictor.
    projecting : float
        Multiply-adds per head for projecting one vector.
    device : str
        Device on which supports are predicted.
    """

    def __init__(
        self,
        predictor: Predictor,
        points: list[dict[str, Any]],
        windows: Sequence[int] = (0,),
        keep: Sequence[str] = ("none",),
        block_size: int = 1,
        projecting: float = 0.0,
        device: str = "cpu",
    ) -> None:
        self.predictor, self.points, self.windows, self.keep = predictor, points, tuple(windows), tuple(keep)
        self.block_size, self.projecting, self.device = block_size, projecting, device
        self.names = [point_name(predictor, point) for point in points]
        self.grids = ("token",) if block_size == 1 else ("token", "block")
        self._last: tuple[torch.Tensor | None, list[Frame]] = (None, [])

    def measure(self, features: Features, gold: Gold) -> tuple[np.ndarray, np.ndarray]:
        """Measure one example in one layer.

        Parameters
        ----------
        features : Features
            Features by token.
        gold : Gold
            Gold support by token.

        Returns
        -------
        metrics : ndarray
            float64 ``(grids, points, metrics, extras, heads)``.
        offsets : ndarray
            float64 ``(points + 1, heads, bins)``: pairs by distance of query and key; the last point is the gold
            support.
        """
        heads, queries, keys = features.shape
        at_once = max(1, PAIRS_AT_ONCE[torch.device(self.device).type] * self.block_size**2 // (queries * keys))
        parts = [slice(first, min(first + at_once, heads)) for first in range(0, heads, at_once)]
        pairs = [GoldPairs.of(gold, self.block_size)]
        if self.block_size > 1:
            pairs.append(GoldPairs.of(block_gold(gold, self.block_size)))
        frames = self._frames(features)
        results = [
            self._measure_heads(features.part(part), [each.part(part) for each in pairs], frames) for part in parts
        ]
        metrics, offsets = zip(*results, strict=True)
        return np.concatenate(metrics, axis=-1), np.concatenate(offsets, axis=1)

    def _frames(self, tokens: Features) -> list[Frame]:
        """Return the frame of each grid; consecutive examples with the same valid pairs share their frames."""
        valid, frames = self._last
        if valid is None or not torch.equal(valid, tokens.valid):
            size, extras = self.block_size, (self.windows, self.keep)
            if size == 1:
                frames = [Frame(tokens.valid.to(self.device), *extras)]
            else:
                blocks = block_any(tokens.valid, size).to(self.device)
                frames = [
                    Frame(blocks, *extras, block_counts(tokens.valid, size).to(self.device)),
                    Frame(blocks, *extras),
                ]
            self._last = tokens.valid, frames
        return frames

    def _measure_heads(
        self, tokens: Features, pairs: list[GoldPairs], frames: list[Frame]
    ) -> tuple[np.ndarray, np.ndarray]:
        size = self.block_size
        features = on_device(tokens if size == 1 else block_features(tokens, size), self.device)
        counting = [SupportCounts(gold, frame) for gold, frame in zip(pairs, frames, strict=True)]
        extras, heads = len(self.windows) * len(self.keep), features.shape[0]
        metrics = np.empty((len(self.grids), len(self.points), len(METRICS), extras, heads))
        offsets = np.empty((len(self.points) + 1, heads, len(OFFSETS) + 1))
        offsets[-1] = counting[0].gold_offsets()
        # multiply-adds of the score of a pair of tokens, and of a pair of blocks
        scores = [tokens.raw_queries.shape[-1] * factor for factor in (1, size**2)]
        projecting = self.projecting * (tokens.shape[1] + tokens.shape[2])
        for places, support in self.predictor.supports(features, self.points):
            costs = np.array([projecting + self.predictor.cost(features, **self.points[place]) for place in places])
            for place, count in enumerate(counting):
                counts, near = count(support, costs / scores[place])
                metrics[place, places] = metric_values(counts)
                if place == 0:
                    offsets[places] = near
        return metrics, offsets


class _Sums:
    """Sums of the measures of a sweep, from which the tables are made."""

    def __init__(self, sweep: Sweep, info: QKInfo) -> None:
        self.sweep, self.info = sweep, info
        shape = (len(sweep.points), len(METRICS), len(sweep.windows) * len(sweep.keep))
        self._metrics = np.zeros((self.info.layers, len(sweep.grids), *shape, self.info.heads))
        self._examples = np.zeros((self.info.examples, *shape))
        self._offsets = np.zeros((self.info.layers, len(sweep.points) + 1, len(OFFSETS) + 1))

    def add(self, layer: int, index: int, metrics: np.ndarray, offsets: np.ndarray) -> None:
        """Add one example in one layer."""
        self._metrics[layer] += metrics
        self._examples[index] += metrics[0].mean(-1)
        self._offsets[layer] += offsets.mean(1)

    def tables(self) -> Evaluation:
        """Return the tables of means."""
        sweep, info = self.sweep, self.info
        axes = {
            "layer": range(info.layers), "head": range(info.heads), "point": sweep.names,
            "window": sweep.windows, "keep": sweep.keep, "grid": sweep.grids,
        }  # fmt: skip
        table = _rows(axes)
        table["examples"] = info.examples
        # the axes are layers, grids, points, metrics, extras, heads
        table[list(METRICS)] = self._metrics.transpose(0, 5, 2, 4, 1, 3).reshape(-1, len(METRICS)) / info.examples
        offsets = _rows({"layer": range(info.layers), "point": [*sweep.names, "gold"], "distance": offset_names()})
        offsets["edges"] = self._offsets.reshape(-1) / info.examples
        return Evaluation(table, self._by_document(), offsets)

    def _by_document(self) -> pd.DataFrame:
        """Return the means over the examples of each document."""
        names, place = np.unique(np.array(self.info.documents, dtype=object).astype(str), return_inverse=True)
        counts = np.bincount(place)
        sums = np.zeros((len(names), *self._examples.shape[1:]))
        np.add.at(sums, place, self._examples / self.info.layers)
        sweep = self.sweep
        table = _rows({"document": names, "point": sweep.names, "window": sweep.windows, "keep": sweep.keep})
        table["examples"] = np.repeat(counts, len(table) // len(names))
        means = sums.transpose(0, 1, 3, 2) / counts[:, None, None, None]
        table[list(METRICS)] = means.reshape(-1, len(METRICS))
        return table


def point_name(predictor: Predictor, point: Mapping[str, Any]) -> str:
    """Return all settings of a point, with fitted ones, as a path segment in the order of `predictor.parameters`."""
    values = {**predictor.context.fixed, **point}
    return segment({name: values[name] for name in predictor.parameters if name in values})


def check_lists(predictor: Predictor, grid: Mapping[str, Any], heads: int) -> None:
    """Raise `InputError` when a value in the grid is a list that has not one number per head."""
    for name, values in grid.items():
        for value in as_list(values):
            if isinstance(value, list) and len(value) != heads:
                raise InputError(
                    f"predictors.{predictor.name}.{name}: {value} has {len(value)} numbers for {heads} heads; "
                    "allowed: one number, or a list of one number per head"
                )


def _rows(axes: Mapping[str, Any]) -> pd.DataFrame:
    """Return a table with a row for each combination of the values of all axes, the last axis fastest."""
    return pd.MultiIndex.from_product(list(axes.values()), names=list(axes)).to_frame(index=False)
