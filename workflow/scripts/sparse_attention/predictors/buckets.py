"""Quantization: each projected dim puts queries and keys into buckets; a pair is kept when it meets in any dim."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sparse_attention.attention.supports import Buckets
from sparse_attention.predictors.base import BucketPredictor
from sparse_attention.predictors.features import Features


def ranks(vectors: Tensor) -> Tensor:
    """Return each vector's place in ascending order in every dim, int64 `(heads, n, dim)`; equals rank by position."""
    order = vectors.argsort(dim=1, stable=True)
    place = torch.arange(vectors.shape[1], device=vectors.device)[:, None].expand_as(order)
    return torch.empty_like(order).scatter_(1, order, place)


def tables(queries: Tensor, keys: Tensor, size: int) -> Buckets:
    """Make each dim's buckets, int64 `(heads, n, dim)` below `size`, a table of its own."""
    dim = queries.shape[-1]
    first = torch.arange(dim, device=queries.device) * size
    return Buckets(queries + first, keys + first, size, dim)


class FixedBuckets(BucketPredictor):
    """Buckets of equal size: the `bucket_size` lowest values are the first bucket, and so on.

    Queries and keys are ranked apart, so that each bucket holds as many of both.
    """

    name = "fixed"
    label = "Fixed buckets"
    paper = (
        "Treviso, Góis, Fernandes, Fonseca, Martins. Predicting Attention Sparsity in Transformers. SPNLP 2022. "
        "arXiv:2109.12188"
    )
    needs = ("projection",)
    parameters = {"bucket_size": {"type": "integer", "minimum": 1}}

    def prepare(self, features: Features) -> tuple[Tensor, Tensor]:
        """Return the ranks of queries and of keys in each dim."""
        return ranks(features.queries), ranks(features.keys)

    def buckets(self, prepared: tuple[Tensor, Tensor], bucket_size: int) -> Buckets:
        """Return ranks by bucket."""
        queries, keys = prepared
        longest = max(queries.shape[1], keys.shape[1])
        return tables(queries // bucket_size, keys // bucket_size, -(-longest // bucket_size))

    def cost(self, features: Features, **point: Any) -> float:
        """Sorting: n log2 n comparisons per dim."""
        return features.queries.shape[-1] * sum(n * max(n, 2).bit_length() for n in features.shape[1:])


class DynamicBuckets(BucketPredictor):
    """Buckets of equal width: ⌈keys / bucket_size⌉ intervals of (-1, 1), where `tanh(temperature * x)` lies."""

    name = "dynamic"
    label = "Dynamic buckets"
    paper = (
        "Treviso, Góis, Fernandes, Fonseca, Martins. Predicting Attention Sparsity in Transformers. SPNLP 2022. "
        "arXiv:2109.12188"
    )
    needs = ("projection",)
    parameters = {
        "bucket_size": {"type": "integer", "minimum": 1},
        "temperature": {"type": "number", "exclusiveMinimum": 0},
    }

    def buckets(self, prepared: Features, bucket_size: int, temperature: float = 1.0) -> Buckets:
        """Return intervals; a value on a boundary belongs to the interval below."""
        count = -(-prepared.shape[2] // bucket_size)
        boundaries = torch.linspace(-1 + 2 / count, 1 - 2 / count, count - 1, device=prepared.queries.device)
        queries, keys = (
            torch.bucketize(torch.tanh(temperature * vectors), boundaries)
            for vectors in (prepared.queries, prepared.keys)
        )
        return tables(queries, keys, count)

    def cost(self, features: Features, **point: Any) -> float:
        """Nine operations per value: the hyperbolic tangent counts as eight, finding the interval as one."""
        return 9.0 * features.queries.shape[-1] * sum(features.shape[1:])
