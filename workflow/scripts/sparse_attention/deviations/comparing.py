"""Compare corrected with as published: projections by their quality, predictors by their metrics."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from sparse_attention.as_published import fitting
from sparse_attention.clusters.centroids import Centroids
from sparse_attention.clusters.fitting import fit_clusters, layer_vectors
from sparse_attention.deviations.samples import Sample
from sparse_attention.evaluation.sweep import evaluate
from sparse_attention.files.segments import segment
from sparse_attention.predictors.base import Context, Predictor
from sparse_attention.predictors.distance import Cosine, SquaredEuclidean
from sparse_attention.predictors.features import Features
from sparse_attention.projections.fitting import Curves, FitOptions
from sparse_attention.projections.model import Projections
from sparse_attention.projections.weights import ProjectionSetting
from sparse_attention.summaries.pareto import attainable

COLUMNS = ("quirk", "subject", "metric", "corrected", "as_published", "difference", "layers", "examples")
SETTING = ProjectionSetting("linear", 4, True)
"""The projection of all published runs."""
SPARSITY = 0.95
"""Sparsity at which predictors with a threshold are compared."""
THRESHOLDS = ((Cosine, np.geomspace(1e-3, 2, 40).tolist()), (SquaredEuclidean, np.geomspace(1e-4, 100, 60).tolist()))
METRICS = ("recall", "sparsity")
CLUSTERS = 8
Values = Mapping[str, float]
"""Values of metrics, by name."""


class Widened(Predictor):
    """A predictor that keeps the pairs of a mask beside those of another predictor.

    Parameters
    ----------
    inner : Predictor
        The other predictor.
    mask : callable
        Returns the mask, bool ``(queries, keys)``, from the numbers of queries and keys.
    """

    def __init__(self, inner: Predictor, mask: Callable[[int, int], Tensor]) -> None:
        super().__init__(inner.context)
        self.inner, self.mask = inner, mask
        self.name, self.needs, self.parameters = inner.name, inner.needs, inner.parameters  # type: ignore[misc]

    def prepare(self, features: Features) -> Any:
        """Prepare the other predictor, and make the mask."""
        return self.inner.prepare(features), self.mask(*features.shape[1:])

    def predict(self, prepared: Any, **point: Any) -> Tensor:
        """Return the support of the other predictor, together with the mask."""
        inner, mask = prepared
        return self.inner.predict(inner, **point) | mask


class Comparison:
    """Collect comparisons as rows with the columns `COLUMNS`.

    Parameters
    ----------
    train, validation : Sample
        Examples of the same layers.
    options : FitOptions
        Options of the projections, which are fitted here on the train sample.
    seed : int
        Seed of fitting, clustering and random predictors.
    """

    def __init__(self, train: Sample, validation: Sample, options: FitOptions, seed: int) -> None:
        self.train, self.validation, self.options, self.seed = train, validation, options, seed
        self.context = Context(seed)
        self.rows: list[dict[str, Any]] = []
        self.projections = self.fit(train)

    @functools.cached_property
    def clustered(self) -> Context:
        """The context of predictors that need clusters, with those of the train sample."""
        store, centroids = self.train.qk, []
        for layer in range(store.info.layers):
            vectors = layer_vectors(store, self.projections, layer)
            centroids.append(fit_clusters(vectors, CLUSTERS, 1, self.seed, layer=layer)[0])
        return Context(self.seed, {"clusters": CLUSTERS, "runs": 1}, Centroids(tuple(centroids)))

    def table(self) -> pd.DataFrame:
        """Return the comparisons so far, one row per quirk, subject and metric."""
        return pd.DataFrame(self.rows, columns=list(COLUMNS))

    def compare(self, quirk: str, subject: str, corrected: Values, published: Values) -> None:
        """Add a row for each metric of one quirk and subject."""
        for metric, value in corrected.items():
            row = {"quirk": quirk, "subject": subject, "metric": metric, "corrected": value}
            row |= {"as_published": published[metric], "difference": published[metric] - value}
            self.rows.append(row | {"layers": self.validation.info.layers, "examples": self.validation.info.examples})

    def fit(
        self, sample: Sample, quirks: Collection[str] = (), seed: int | None = None,
        setting: ProjectionSetting = SETTING, **options: Any,
    ) -> Projections:  # fmt: skip
        """Fit projections of every layer of a sample, with `quirks` and changed `options`."""
        chosen, seed = replace(self.options, **options), self.seed if seed is None else seed
        pairs, layers = sample.pairs(), range(sample.info.layers)
        weights = [fitting.fit_layer(layer, pairs, setting, chosen, seed, quirks) for layer in layers]
        return Projections.of(weights, block_size=setting.block_size, concat=setting.concat)

    def quality(self, projections: Projections, sample: Sample | None = None) -> dict[str, Values]:
        """Return the validation loss, and the recall of `cos` and `l2` at sparsity `SPARSITY`, by subject."""
        sample = sample or self.validation
        found: dict[str, Values] = {"projections": {"loss": self.loss(projections, sample)}}
        for distance, thresholds in THRESHOLDS:
            table = evaluate(distance(self.context), sample.split(projections), {"threshold": thresholds}).table
            points = table.groupby("point", sort=False)[list(METRICS)].mean()
            recall = attainable(points["sparsity"].to_numpy(), points["recall"].to_numpy(), SPARSITY)
            found[f"{distance.name} sparsity~{SPARSITY}"] = {"recall": recall}
        return found

    def loss(self, projections: Projections, sample: Sample) -> float:
        """Return the mean loss over layers, with correctly sampled negatives."""
        options = replace(self.options, eval_examples=sample.info.examples)
        losses = []
        for layer, weights in enumerate(projections.layers):
            curves = Curves(layer, (("validation", sample.pairs()),), options, self.seed)
            curves.add(0, weights)
            losses.append(curves.rows[0]["loss"])
        return float(np.mean(losses))

    def compare_fits(
        self, quirk: str, corrected: Projections, published: Projections, suffix: str = "", sample: Sample | None = None
    ) -> None:
        """Compare the quality of two projections on a sample; `suffix` ends the name of the subject."""
        right, wrong = self.quality(corrected, sample), self.quality(published, sample)
        for subject, values in right.items():
            self.compare(quirk, subject + suffix, values, wrong[subject])

    def metrics(
        self, predictor: Predictor, sample: Sample | None = None, projections: Projections | None = None,
        window: int = 0, keep: str = "none", **point: Any,
    ) -> Values:  # fmt: skip
        """Return the metrics of a predictor at one point, averaged over layers, heads and examples."""
        split = (sample or self.validation).split(projections or self.projections)
        table = evaluate(predictor, split, point, [window], [keep]).table
        return {metric: float(table[metric].mean()) for metric in METRICS}

    def compare_predictors(
        self, quirk: str, corrected: Predictor, published: Predictor, suffix: str = "", sample: Sample | None = None,
        **point: Any,
    ) -> None:  # fmt: skip
        """Compare two predictors at one point; `suffix` ends the name of the subject."""
        right, wrong = (self.metrics(predictor, sample, **point) for predictor in (corrected, published))
        self.compare(quirk, f"{corrected.name} {segment({**corrected.context.fixed, **point})}{suffix}", right, wrong)
