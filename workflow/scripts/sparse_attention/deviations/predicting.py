"""Quirks of predictors, masks and metrics.

The first line of each function says what the published code does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from sparse_attention.as_published import measures, predictors
from sparse_attention.as_published import routing as routing_quirks
from sparse_attention.deviations.comparing import CLUSTERS, SETTING, Comparison, Widened
from sparse_attention.evaluation.buckets import analyse
from sparse_attention.evaluation.sweep import evaluate
from sparse_attention.files.segments import segment
from sparse_attention.predictors.base import BucketPredictor, Predictor
from sparse_attention.predictors.buckets import DynamicBuckets, FixedBuckets
from sparse_attention.predictors.clusters import KMeans
from sparse_attention.predictors.distance import Cosine
from sparse_attention.predictors.features import Features
from sparse_attention.predictors.hashing import Reformer
from sparse_attention.predictors.low_dim_entmax import LowDimEntmax
from sparse_attention.predictors.patterns import BigBird, Longformer, Strided
from sparse_attention.predictors.routing import KMeansRouting, Routing
from sparse_attention.predictors.window import Window

Item = TypeVar("Item")

BUCKETS = 8
BUCKET_SIZE = 16
THRESHOLD = 0.1
"""Threshold of the predictor `cos`."""
WINDOW = 11
STRIDES = (4, 16)


def clusters(comparison: Comparison) -> None:
    """With `top` 2, match nearest with nearest and second with second clusters only, or always keep the diagonal."""
    context = comparison.clustered
    right = KMeans(context)
    comparison.compare_predictors("rank_matched_clusters", right, predictors.RankMatchedKMeans(context), top=2)
    comparison.compare_predictors("forced_diagonal", right, predictors.DiagonalKMeans(context), top=2)


def patterns(comparison: Comparison) -> None:
    """Draw random keys among the first positions, or once per batch; draw global tokens at random."""
    right, wrong = BigBird(comparison.context), predictors.FirstPositionsBigBird(comparison.context)
    for random_keys in (3, 9, 33):
        comparison.compare_predictors("bigbird_first_positions", right, wrong, random_keys=random_keys)
    batched = predictors.BatchedBigBird(comparison.context, comparison.validation.longest)
    comparison.compare_predictors("one_draw_per_batch", right, batched, random_keys=9)
    for where, sample in (("", comparison.validation), (", ragged", comparison.validation.ragged())):
        globals_ = predictors.RandomGlobalsLongformer(comparison.context, sample.longest)
        longformer = Longformer(comparison.context)
        comparison.compare_predictors("longformer_random_globals", longformer, globals_, where, sample, global_tokens=8)


def strides(comparison: Comparison) -> None:
    """Include both ends of a block in the strided pattern; the published code needs more than one block."""
    right, wrong = Strided(comparison.context), predictors.BothEndsStrided(comparison.context)
    for stride in STRIDES:
        if stride < comparison.validation.shortest:
            point: dict[str, Any] = {"stride": stride, "expressivity": 2}
            comparison.compare_predictors("strided_both_ends", right, wrong, **point)


def hashing(comparison: Comparison) -> None:
    """Restart torch's global generator at every batch, which then has one hash for all its examples."""
    wrong = predictors.ReseedingReformer(comparison.context, comparison.validation.info.heads)
    for rounds in (1, SETTING.dim) if comparison.validation.square else ():
        point: dict[str, Any] = {"buckets": BUCKETS, "rounds": rounds, "tied": True}
        comparison.compare_predictors("reformer_reseeding", Reformer(comparison.context), wrong, **point)


def routing(comparison: Comparison) -> None:
    """Take centroids from the first batch, give a vector to one cluster only, and let padding be in clusters."""
    split = comparison.validation.split(comparison.projections)
    layers = [[features for features, _ in split.layer(layer)] for layer in range(split.info.layers)]
    vectors = {layer: torch.cat([*map(raw_vectors, batches_of(found)[0])], 1) for layer, found in enumerate(layers)}
    batch = routing_quirks.FirstBatchRouting(comparison.context, vectors)
    point: dict[str, Any] = {"clusters": CLUSTERS, "membership": "all"}
    comparison.compare_predictors("routing_of_first_batch", Routing(comparison.context), batch, **point)
    context = comparison.clustered
    right, first = KMeansRouting(context), routing_quirks.FirstClusterRouting(context)
    comparison.compare_predictors("first_cluster_only", right, first, membership="all")
    sample = comparison.validation.ragged()
    padded = routing_quirks.PaddedRouting(context, sample.longest)
    comparison.compare_predictors("padding_in_routing", right, padded, ", ragged", sample, membership="first")


def entmax(comparison: Comparison) -> None:
    """Include later keys in the entmax of a decoder's queries."""
    right, wrong = LowDimEntmax(comparison.context), predictors.UnmaskedEntmax(comparison.context)
    sample = comparison.validation.causal()
    comparison.compare_predictors("entmax_of_later_keys", right, wrong, ", causal", sample, alpha=1.5)


def rounding(comparison: Comparison) -> None:
    """Keep pairs whose cosine distance is below 0 by rounding.

    With one projection of query and key together, the distance of a position to itself is 0 but for rounding.
    """
    right, wrong = Window(comparison.context), predictors.UnclampedCosine(comparison.context)
    fits = {"": comparison.projections}
    if comparison.train.square and comparison.validation.square:
        fits[", concat"] = comparison.fit(comparison.train, setting=replace(SETTING, concat=True))
    for where, projections in fits.items():
        none, rounded = (
            comparison.metrics(predictor, projections=projections, **point)
            for predictor, point in ((right, {"width": 0}), (wrong, {"threshold": 0.0}))
        )
        comparison.compare("rounding_in_window", f"window width~0{where}", none, rounded)


def windows(comparison: Comparison) -> None:
    """Use a window of 4 keys, which cannot be centred; it is compared with windows of 3 and 5 keys."""
    window = Window(comparison.context)
    wrong = comparison.metrics(Widened(window, lambda queries, keys: measures.neighbours(queries, keys, 4)), width=0)
    for width in (3, 5):
        subject = f"window width~4, here width~{width}"
        comparison.compare("even_window", subject, comparison.metrics(window, width=width), wrong)


def kept_tokens(comparison: Comparison) -> None:
    """Keep the last token of the padded batch instead of that of each example."""
    sample = comparison.validation.ragged()
    cosine = Cosine(comparison.context)
    padded = Widened(cosine, lambda queries, keys: measures.kept_tokens(queries, keys, sample.longest))
    right = comparison.metrics(cosine, sample, keep="cls+last", threshold=THRESHOLD)
    wrong = comparison.metrics(padded, sample, threshold=THRESHOLD)
    subject = f"cos threshold~{THRESHOLD:g}, first and last token kept, ragged"
    comparison.compare("last_of_padded_batch", subject, right, wrong)


def intervals(comparison: Comparison) -> None:
    """Take the number of dynamic buckets from the length of the padded batch instead of that of each example."""
    sample = comparison.validation.ragged()
    right = DynamicBuckets(comparison.context)
    wrong = predictors.PaddedDynamicBuckets(comparison.context, sample.longest)
    point: dict[str, Any] = {"bucket_size": BUCKET_SIZE, "temperature": 1.0}
    comparison.compare_predictors("intervals_of_padded_batch", right, wrong, ", ragged", sample, **point)


def computation(comparison: Comparison) -> None:
    """Count the operations of distances, fixed and dynamic buckets, and clusters by the published formulas."""
    jobs: tuple[tuple[Predictor, dict[str, Any], int], ...] = (
        (Cosine(comparison.context), {"threshold": THRESHOLD}, WINDOW),
        (FixedBuckets(comparison.context), {"bucket_size": BUCKET_SIZE}, 0),
        (DynamicBuckets(comparison.context), {"bucket_size": BUCKET_SIZE, "temperature": 1.0}, 0),
        (KMeans(comparison.clustered), {"top": 1}, 0),
    )
    split, metric = comparison.validation.split(comparison.projections), "computation_sparsity"
    for predictor, point, window in jobs:
        right = float(evaluate(predictor, split, point, [window]).table[metric].mean())
        wrong = [
            published_computation(predictor, [features for features, _ in batch], point, window)
            for layer in range(split.info.layers)
            for batch in batches_of(list(split.layer(layer)))
        ]
        subject = f"{predictor.name} {segment({**predictor.context.fixed, **point})}" + (
            f", window {window}" if window else ""
        )
        comparison.compare(metric, subject, {metric: right}, {metric: sum(wrong) / len(wrong)})


def entropy(comparison: Comparison) -> None:
    """Pool the clusters of all heads for the entropy, instead of averaging the entropies of heads; both in nats."""
    context = comparison.clustered
    predictor, split = KMeans(context), comparison.validation.split(comparison.projections)
    filling = analyse(predictor, split, {"top": 1}, split.info.examples).buckets
    layers = [[features for features, _ in split.layer(layer)] for layer in range(split.info.layers)]
    for side in ("queries", "keys"):
        right = float(filling.loc[filling["side"] == side, "entropy"].mean()) * math.log(CLUSTERS)
        wrong = [
            measures.pooled_entropy([getattr(predictor.buckets(x, top=1), side) for x in layer]) for layer in layers
        ]
        subject = f"kmeans {segment({**context.fixed, 'top': 1})}, {side}"
        comparison.compare("pooled_entropy", subject, {"entropy": right}, {"entropy": sum(wrong) / len(wrong)})


def raw_vectors(features: Features) -> Tensor:
    """Return projected queries, then keys, without normalisation: float64 ``(heads, queries + keys, dim)``."""
    return torch.cat([features.queries, features.keys], dim=1).double()


def batches_of(examples: Sequence[Item]) -> list[Sequence[Item]]:
    """Cut examples into batches of the published size."""
    return [examples[first : first + predictors.BATCH] for first in range(0, len(examples), predictors.BATCH)]


def published_computation(
    predictor: Predictor, batch: Sequence[Features], point: Mapping[str, Any], window: int
) -> float:
    """Return the computation sparsity of one batch in one layer by the published formulas."""
    lengths = [features.shape[1] for features in batch]
    heads, dim = batch[0].shape[0], batch[0].queries.shape[-1]
    operations = [float(n * n) for n in lengths]
    if isinstance(predictor, FixedBuckets):
        size = point["bucket_size"]
        operations = [float(heads * dim * -(-n // size) * size**2) for n in lengths]
    elif isinstance(predictor, BucketPredictor):
        buckets = [predictor.buckets(predictor.prepare(features), **point) for features in batch]
        queries, keys = ([getattr(x, side) % x.size for x in buckets] for side in ("queries", "keys"))
        # the published code takes the number of clusters, too, for the number of tokens of a bucket
        size = point.get("bucket_size") or predictor.context.fixed["clusters"]
        operations = [measures.bucket_operations(queries, keys, -(-max(lengths) // size))] * len(lengths)
    return measures.computation_sparsity(lengths, operations, window)
