"""Quirks of the predictors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from sparse_attention.as_published.registry import quirk
from sparse_attention.attention.levels import levels_of_budgets
from sparse_attention.attention.masks import window_mask
from sparse_attention.attention.supports import Buckets
from sparse_attention.predictors.base import Context, Predictor
from sparse_attention.predictors.buckets import DynamicBuckets
from sparse_attention.predictors.clusters import KMeans
from sparse_attention.predictors.distance import Cosine
from sparse_attention.predictors.features import Features
from sparse_attention.predictors.hashing import Reformer, nearest_directions
from sparse_attention.predictors.low_dim_entmax import LowDimEntmax, Rows
from sparse_attention.predictors.patterns import BigBird, Longformer, Strided
from sparse_attention.predictors.routing import KMeansRouting, Routing, Similarities, initial_centroids, similarities

BATCH = 16  # examples of a batch in the published evaluation
HASH_SEEDS = 1000


@quirk(
    "rank_matched_clusters",
    "predictor",
    "With `top` above 1 and centroids from a file, the nearest cluster of a query meets the nearest of a key only, the "
    "second the second, and so on.",
)
class RankMatchedKMeans(KMeans):
    """`kmeans` with a table for each rank."""

    def buckets(self, prepared: Features, top: int) -> Buckets:
        """Return the buckets of every rank apart."""
        found = super().buckets(prepared, top)
        size, ranks = found.size * found.tables, found.queries.shape[-1]
        first = torch.arange(ranks, device=found.queries.device) * size
        return Buckets(found.queries + first, found.keys + first, size, ranks)


@quirk(
    "forced_diagonal",
    "predictor",
    "With `top` above 1 and no centroids file, a query and the key of its own position always meet: their fillers for "
    "the clusters that they are not in are the same numbers.",
)
class DiagonalKMeans(KMeans):
    """`kmeans` with the diagonal."""

    supports = Predictor.supports

    def predict(self, prepared: Features, **point: Any) -> Tensor:
        """Add the diagonal to the intersection of sets."""
        _, queries, keys = prepared.shape
        return super().predict(prepared, **point) | (window_mask(queries, keys, 1) & (point["top"] > 1))


@quirk(
    "bigbird_first_positions",
    "predictor",
    "Of a sequence longer than 2t + 5, BigBird's t random keys lie among the first 2t + 5 positions.",
)
class FirstPositionsBigBird(BigBird):
    """`bigbird` with the published plan of where random keys lie."""

    supports = Predictor.supports

    def predict(self, prepared: tuple[Tensor, Tensor], **point: Any) -> Tensor:
        """Draw the keys of each segment among those that window and global tokens leave."""
        pattern, noise = prepared
        support = pattern.expand_as(noise).clone()
        query, key = torch.arange(noise.shape[1])[:, None], torch.arange(noise.shape[2])
        for start, end, count in bigbird_plan(noise.shape[2], point["random_keys"]):
            allowed = ~pattern & (start <= key) & (key < end - 1)
            allowed &= ~((query == 1) & (key == end - 2)) & ~((query == end - 2) & (key == 1))
            support |= levels_of_budgets(noise.masked_fill(~allowed, -torch.inf), [count]) == 0
        return support


def bigbird_plan(keys: int, random_keys: int) -> list[tuple[int, int, int]]:
    """Return the segments (start, end, random keys) of BigBird's plan."""
    if 2 * random_keys + 5 < keys:
        return [(0, 2 * random_keys + 5, random_keys)]
    if random_keys + 5 < keys:
        end, half = random_keys + 5, random_keys // 2
        return [(0, end, half), (end, keys, random_keys - half)]
    return [(0, keys, random_keys)]


class Padded(Predictor):
    """A predictor that knows the length that its batch is padded to."""

    def __init__(self, context: Context, padded: int) -> None:
        super().__init__(context)
        self.padded = padded


@quirk("one_draw_per_batch", "predictor", "BigBird's random keys are drawn once for all examples of a batch.")
class BatchedBigBird(Padded, BigBird):
    """`bigbird` with the same random keys in a whole batch."""

    def noise(self, features: Features, *shape: int) -> Tensor:
        """Draw for the padded length and the batch, and cut."""
        batch = replace(features, index=features.index // BATCH)
        return super().noise(batch, self.padded, self.padded)[:, : shape[0], : shape[1]]


@quirk(
    "longformer_random_globals",
    "predictor",
    "Longformer's global tokens are 2 to t − 1 random positions of the padded sequence, possibly repeated, possibly "
    "padding, and the first token only by chance.",
)
class RandomGlobalsLongformer(Padded, Longformer):
    """`longformer` with the published global tokens."""

    supports = Predictor.supports

    def prepare(self, features: Features) -> Features:  # type: ignore[override]
        """Draw per point: there are no nested global tokens."""
        return features

    def predict(self, prepared: Features, **point: Any) -> Tensor:
        """Draw how many there are, then where."""
        rng = self.rng(prepared)
        chosen = torch.zeros(self.padded, dtype=torch.bool)
        chosen[rng.integers(self.padded, size=rng.integers(2, point["global_tokens"]))] = True
        _, queries, keys = prepared.shape
        return (window_mask(queries, keys, 1) | chosen[:queries, None] | chosen[:keys])[None]


@quirk(
    "strided_both_ends",
    "predictor",
    "The Sparse Transformer's blocks are counted from position 1 and hold both of their ends: `stride` + 1 keys, the "
    "first and the last shared with the blocks beside them, of which the last `expressivity` + 1 sum the block up.",
)
class BothEndsStrided(Strided):
    """`strided` as fairseq cuts it; position 0 is in the first block and sums up none.

    The published code refuses sequences of one block, and does not return when `expressivity` equals `stride`: here,
    the support is complete.
    """

    def predict(self, prepared: Features, stride: int, expressivity: int) -> Tensor:
        """Return the pattern, the same for all heads."""
        _, queries, keys = prepared.shape
        positions = torch.arange(max(queries, keys), device=prepared.valid.device)
        start, key = ((positions - 1).clamp(min=0) // stride * stride)[:queries, None], positions[:keys]
        to_end = -key % stride
        sums_up = (to_end <= expressivity) & ((key > 0) | (expressivity == stride))
        return (((start <= key) & (key <= start + stride)) | sums_up)[None]


@quirk(
    "intervals_of_padded_batch",
    "predictor",
    "The number of dynamic buckets is that of the padded batch: a short example gets as many as the longest.",
)
class PaddedDynamicBuckets(Padded, DynamicBuckets):
    """`dynamic` with the intervals of the padded length."""

    def buckets(self, prepared: Features, bucket_size: int, temperature: float = 1.0) -> Buckets:
        """Count the intervals as if there were as many keys."""
        padded = prepared.raw_keys.new_empty(prepared.shape[0], self.padded, 0)
        return super().buckets(replace(prepared, raw_keys=padded), bucket_size, temperature)


@quirk(
    "rounding_in_window",
    "predictor",
    "The window alone is the cosine predictor at threshold 0, to which rounding adds pairs that point the same way.",
)
class UnclampedCosine(Cosine):
    """`cos` with distances below 0."""

    def distances(self, prepared: Features, **others: Any) -> Tensor:
        """Return cosine distances as rounding leaves them."""
        queries, keys = (x / x.norm(dim=-1, keepdim=True) for x in (prepared.queries, prepared.keys))
        return 1 - queries @ keys.transpose(-1, -2)


@quirk(
    "reformer_reseeding",
    "predictor",
    "Reformer restarts torch's global generator from one of 1000 seeds at every batch, from which all later random "
    "numbers follow, the next batch's hashes among them; a batch has one hash.",
)
class ReseedingReformer(Reformer):
    """`reformer` with the published hashes of all `heads` of a layer."""

    def __init__(self, context: Context, heads: int) -> None:
        super().__init__(context)
        self.all_heads = heads

    def rotations(self, features: Features, *shape: int) -> Tensor:
        """Restart the generator for every batch up to this one; nothing else in this process shall notice."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.context.seed + features.layer)
            for _ in range(features.index // BATCH + 1):
                drawn = hash_rotations(self.all_heads, *shape)
        return drawn[features.heads]

    def buckets(self, prepared: Features, buckets: int, rounds: int, tied: bool) -> Buckets:
        """Return the bucket of each query and key in every round."""
        queries, keys = prepared.queries, prepared.keys
        if tied:
            queries = keys = torch.cat([queries, keys], dim=-1)
        rotations = self.rotations(prepared, rounds, buckets // 2, queries.shape[-1])
        first = torch.arange(rounds) * buckets
        of_queries, of_keys = (nearest_directions(x, rotations) + first for x in (queries, keys))
        return Buckets(of_queries, of_keys, buckets, rounds)


def hash_rotations(*shape: int) -> Tensor:
    """Draw the rotations of a batch from torch's global generator, and leave it behind in one of 1000 states."""
    torch.manual_seed(int(torch.randint(HASH_SEEDS, ())))
    return torch.randn(shape)


@quirk(
    "first_cluster_only",
    "predictor",
    "In routing, a query or key that several clusters took belongs to the one of the lowest number only.",
)
class FirstClusterRouting(KMeansRouting):
    """`routing_kmeans` with one cluster for each vector."""

    def buckets(self, prepared: Similarities, membership: str) -> Buckets:
        """Return the first cluster, whatever is asked for."""
        return super().buckets(prepared, "first")


@quirk(
    "routing_of_first_batch",
    "predictor",
    "The centroids of routing come from the first batch of the evaluation, for all examples, and long vectors weigh "
    "more in them.",
)
class FirstBatchRouting(Routing):
    """`routing` with the centroids of `vectors`, by layer: of the first `BATCH` examples, float64 `(heads, n, dim)`."""

    def __init__(self, context: Context, vectors: Mapping[int, Tensor]) -> None:
        super().__init__(context)
        self.vectors = vectors

    def prepare(self, features: Features) -> Callable[[int], Similarities]:
        """Return a function that makes the centroids and compares the example with them."""
        vectors, first = self.vectors[features.layer][features.heads], replace(features, index=0)

        def compared(clusters: int) -> Similarities:
            generators = (self.rng(first, head) for head in range(features.heads.start, features.heads.stop))
            return similarities(features, initial_centroids(vectors, clusters, generators)[:, None])

        return compared


@quirk(
    "padding_in_routing",
    "predictor",
    "In routing, clusters also take padding, and as many vectors as the padded length allows for.",
)
class PaddedRouting(Padded, KMeansRouting):
    """`routing_kmeans` with padding, zero vectors behind the last token."""

    def __init__(self, context: Context, padded: int) -> None:
        KMeansRouting.__init__(self, context)
        self.padded = padded

    def prepare(self, features: Features) -> tuple[Similarities, Features]:  # type: ignore[override]
        """Compare padded queries and keys with the centroids."""
        queries, keys = (pad(x, (0, 0, 0, self.padded - x.shape[1])) for x in (features.queries, features.keys))
        return super().prepare(replace(features, queries=queries, keys=keys)), features

    def buckets(self, prepared: Any, membership: str) -> Buckets:
        """Leave the padding out of what the clusters took."""
        compared, features = prepared
        _, queries, keys = features.shape
        found = super().buckets(compared, membership)
        return replace(found, queries=found.queries[:, :queries], keys=found.keys[:, :keys])


@quirk(
    "entmax_of_later_keys",
    "predictor",
    "With causal attention, entmax of projected queries and keys takes later keys into its sum: they take probability "
    "from the keys that a query may see.",
)
class UnmaskedEntmax(LowDimEntmax):
    """`entmax` over all keys."""

    def prepare(self, features: Features) -> Rows:
        """Prepare as if every key were valid."""
        return super().prepare(replace(features, valid=torch.ones_like(features.valid)))
