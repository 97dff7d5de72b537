"""Quantization: each projected dim puts queries and keys into buckets; a pair is kept when it meets in any dim."""

from __future__ import annotations

import torch
from torch import Tensor

from sparse_attention.predictors.base import Features, Predictor


def meet(queries: Tensor, keys: Tensor) -> Tensor:
    """Return the pairs whose buckets, `(heads, queries, dim)` and `(heads, keys, dim)`, are equal in any dim."""
    pairs = torch.zeros(*queries.shape[:2], keys.shape[1], dtype=torch.bool)
    for query_bucket, key_bucket in zip(queries.unbind(-1), keys.unbind(-1), strict=True):
        pairs |= query_bucket[..., :, None] == key_bucket[..., None, :]
    return pairs


def ranks(vectors: Tensor) -> Tensor:
    """Return each vector's place in ascending order in every dim, int32 `(heads, n, dim)`; equals rank by position."""
    order = vectors.argsort(dim=1, stable=True)
    place = torch.arange(vectors.shape[1], dtype=torch.int32)[:, None].expand_as(order)
    return torch.empty_like(place).scatter_(1, order, place)


class FixedBuckets(Predictor):
    """Buckets of equal size: the `bucket_size` lowest values are the first bucket, and so on.

    Queries and keys are ranked apart, so that each bucket holds as many of both.
    """

    name = "fixed"
    label = "Fixed buckets"
    needs = ("projection",)
    parameters = {"bucket_size": {"type": "integer", "minimum": 1}}

    def prepare(self, features: Features) -> tuple[Tensor, Tensor]:
        """Return the ranks of queries and of keys in each dim."""
        return ranks(features.queries), ranks(features.keys)

    def predict(self, prepared: tuple[Tensor, Tensor], bucket_size: int) -> Tensor:
        """Return the pairs that share a bucket in any dim."""
        queries, keys = prepared
        return meet(queries // bucket_size, keys // bucket_size)


class DynamicBuckets(Predictor):
    """Buckets of equal width: ⌈keys / bucket_size⌉ intervals of (-1, 1), where `tanh(temperature * x)` lies."""

    name = "dynamic"
    label = "Dynamic buckets"
    needs = ("projection",)
    parameters = {
        "bucket_size": {"type": "integer", "minimum": 1},
        "temperature": {"type": "number", "exclusiveMinimum": 0},
    }

    def predict(self, features: Features, bucket_size: int, temperature: float = 1.0) -> Tensor:
        """Return the pairs that share an interval in any dim; a value on a boundary belongs to the interval below."""
        buckets = -(-features.shape[2] // bucket_size)
        boundaries = torch.linspace(-1 + 2 / buckets, 1 - 2 / buckets, buckets - 1)
        queries, keys = (
            torch.bucketize(torch.tanh(temperature * vectors), boundaries, out_int32=True)
            for vectors in (features.queries, features.keys)
        )
        return meet(queries, keys)
