"""Quirks of the predictors, except routing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

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

BATCH = 16  # examples per batch in the published evaluation
HASH_SEEDS = 1000  # number of different seeds that the published code draws from


@quirk(
    "rank_matched_clusters",
    "predictor",
    "With `top` above 1 and centroids from a file, clusters are compared by rank: the nearest of a query only with "
    "the nearest of a key, the second with the second, and so on.",
)
class RankMatchedKMeans(KMeans):
    """`kmeans` with a separate table for each rank."""

    def buckets(self, prepared: Features, top: int) -> Buckets:
        """Return the buckets, with different numbers for each rank."""
        found = super().buckets(prepared, top)
        size, ranks = found.size * found.tables, found.queries.shape[-1]
        first = torch.arange(ranks, device=found.queries.device) * size
        return Buckets(found.queries + first, found.keys + first, size, ranks)


@quirk(
    "forced_diagonal",
    "predictor",
    "With `top` above 1 and no centroids file, a query and the key of its own position always meet: the placeholders "
    "for clusters that do not hold a vector are equal at equal positions.",
)
class DiagonalKMeans(KMeans):
    """`kmeans` that always keeps the diagonal when `top` is above 1."""

    supports, block_pairs = Predictor.supports, Predictor.block_pairs

    def predict(self, prepared: Features, **point: Any) -> Tensor:
        """Return the pairs that share a cluster, and the diagonal."""
        _, queries, keys = prepared.shape
        return super().predict(prepared, **point) | (window_mask(queries, keys, 1) & (point["top"] > 1))


@quirk(
    "bigbird_first_positions",
    "predictor",
    "Of a sequence longer than 2t + 5, BigBird's t random keys lie among the first 2t + 5 positions.",
)
class FirstPositionsBigBird(BigBird):
    """`bigbird` with random keys in the segments of the published code."""

    supports, block_pairs = Predictor.supports, Predictor.block_pairs

    def predict(self, prepared: tuple[Tensor, Tensor], **point: Any) -> Tensor:
        """Draw the keys of each segment among those outside the window and the global tokens."""
        pattern, noise = prepared
        support = pattern.expand_as(noise).clone()
        query, key = torch.arange(noise.shape[1])[:, None], torch.arange(noise.shape[2])
        for start, end, count in bigbird_plan(noise.shape[2], point["random_keys"]):
            allowed = ~pattern & (start <= key) & (key < end - 1)
            allowed &= ~((query == 1) & (key == end - 2)) & ~((query == end - 2) & (key == 1))
            support |= levels_of_budgets(noise.masked_fill(~allowed, -torch.inf), [count]) == 0
        return support


def bigbird_plan(keys: int, random_keys: int) -> list[tuple[int, int, int]]:
    """Return the segments of positions from which BigBird draws random keys, as (start, end, random keys)."""
    if 2 * random_keys + 5 < keys:
        return [(0, 2 * random_keys + 5, random_keys)]
    if random_keys + 5 < keys:
        end, half = random_keys + 5, random_keys // 2
        return [(0, end, half), (end, keys, random_keys - half)]
    return [(0, keys, random_keys)]


class Padded(Predictor):
    """A predictor with the length to which its batch is padded."""

    def __init__(self, context: Context, padded: int) -> None:
        super().__init__(context)
        self.padded = padded


@quirk("one_draw_per_batch", "predictor", "BigBird's random keys are drawn once for all examples of a batch.")
class BatchedBigBird(Padded, BigBird):
    """`bigbird` with the same random keys for all examples of a batch."""

    block_pairs = Predictor.block_pairs

    def noise(self, features: Features, *shape: int) -> Tensor:
        """Draw for the padded length of the batch, and cut to the example."""
        batch = replace(features, index=features.index // BATCH)
        return super().noise(batch, self.padded, self.padded)[:, : shape[0], : shape[1]]


@quirk(
    "longformer_random_globals",
    "predictor",
    "Longformer's global tokens are 2 to t − 1 random positions of the padded sequence, possibly repeated, possibly "
    "padding, and the first token only by chance.",
)
class RandomGlobalsLongformer(Padded, Longformer):
    """`longformer` with the global tokens of the published code."""

    supports, block_pairs = Predictor.supports, Predictor.block_pairs

    def prepare(self, features: Features) -> Features:  # type: ignore[override]
        """Return the features: global tokens are drawn for each point."""
        return features

    def predict(self, prepared: Features, **point: Any) -> Tensor:
        """Draw the number of global tokens, then their positions."""
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
    """`strided` with the blocks of fairseq; position 0 is in the first block, but in no summary.

    The published code fails for sequences of one block, and never returns when `expressivity` equals `stride`. Here,
    the support is then complete.
    """

    block_pairs = Predictor.block_pairs

    def predict(self, prepared: Features, stride: int, expressivity: int) -> Tensor:
        """Return the pattern, the same for all heads."""
        _, queries, keys = prepared.shape
        positions = torch.arange(max(queries, keys), device=prepared.device)
        start, key = ((positions - 1).clamp(min=0) // stride * stride)[:queries, None], positions[:keys]
        to_end = -key % stride
        summary = (to_end <= expressivity) & ((key > 0) | (expressivity == stride))
        return (((start <= key) & (key <= start + stride)) | summary)[None]


@quirk(
    "intervals_of_padded_batch",
    "predictor",
    "The number of dynamic buckets is that of the padded batch: a short example gets as many as the longest.",
)
class PaddedDynamicBuckets(Padded, DynamicBuckets):
    """`dynamic` with the number of intervals of the padded length."""

    def buckets(self, prepared: Features, bucket_size: int, temperature: float = 1.0) -> Buckets:
        """Return the buckets with as many intervals as for `padded` keys."""
        padded = prepared.raw_keys.new_empty(prepared.shape[0], self.padded, 0)
        return super().buckets(replace(prepared, raw_keys=padded), bucket_size, temperature)


@quirk(
    "rounding_in_window",
    "predictor",
    "The window alone is computed as the cosine predictor at threshold 0, where rounding errors add pairs of parallel "
    "vectors.",
)
class UnclampedCosine(Cosine):
    """`cos` whose distances can be below 0 by rounding errors."""

    def distances(self, prepared: Features, **others: Any) -> Tensor:
        """Return cosine distances `1 - cos`, float ``(heads, queries, keys)``, with their rounding errors."""
        queries, keys = (x / x.norm(dim=-1, keepdim=True) for x in (prepared.queries, prepared.keys))
        return 1 - queries @ keys.transpose(-1, -2)


@quirk(
    "reformer_reseeding",
    "predictor",
    "Reformer restarts torch's global generator from one of 1000 seeds at every batch, from which all later random "
    "numbers follow, the next batch's hashes among them; a batch has one hash.",
)
class ReseedingReformer(Reformer):
    """`reformer` with the hashes of the published code; `heads` is the number of heads of a layer."""

    def __init__(self, context: Context, heads: int) -> None:
        super().__init__(context)
        self.all_heads = heads

    def rotations(self, features: Features, *shape: int) -> Tensor:
        """Draw the directions of this batch by reseeding for each batch up to it; the global generator is restored."""
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
    """Reseed torch's global generator with one of 1000 seeds, as the published code does, and draw from it."""
    torch.manual_seed(int(torch.randint(HASH_SEEDS, ())))
    return torch.randn(shape)


@quirk(
    "entmax_of_later_keys",
    "predictor",
    "With causal attention, entmax of projected queries and keys also sums over later keys, which take probability "
    "from the keys that a query may see.",
)
class UnmaskedEntmax(LowDimEntmax):
    """`entmax` over all keys."""

    def prepare(self, features: Features) -> Rows:
        """Return the rows of `LowDimEntmax.prepare` as if every key were valid."""
        return super().prepare(replace(features, pairs=torch.ones_like(features.valid)))
