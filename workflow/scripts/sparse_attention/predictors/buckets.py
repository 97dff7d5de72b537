"""Quantize each projected dimension into buckets; a pair is kept when it shares a bucket in any dimension."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sparse_attention.attention.supports import Buckets
from sparse_attention.predictors.base import BucketPredictor
from sparse_attention.predictors.features import Features


def ranks(vectors: Tensor) -> Tensor:
    """Return the rank of each vector in each dimension, int64 ``(heads, n, dim)``; equal values rank by position."""
    order = vectors.argsort(dim=1, stable=True)
    place = torch.arange(vectors.shape[1], device=vectors.device)[:, None].expand_as(order)
    return torch.empty_like(order).scatter_(1, order, place)


def one_table_per_dimension(queries: Tensor, keys: Tensor, size: int) -> Buckets:
    """Make a table of the buckets of each dimension.

    Parameters
    ----------
    queries, keys : Tensor
        int64 ``(heads, queries, dim)`` and ``(heads, keys, dim)``: bucket in each dimension, from 0 to `size` - 1.
    size : int
        Number of buckets in each dimension.
    """
    dim = queries.shape[-1]
    first = torch.arange(dim, device=queries.device) * size
    return Buckets(queries + first, keys + first, size, dim)


class FixedBuckets(BucketPredictor):
    """Buckets of equal size: the `bucket_size` lowest values are in the first bucket, the next ones in the second.

    Queries and keys are ranked separately, so each bucket holds as many queries as keys.
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
        """Return the ranks of queries and of keys in each dimension."""
        return ranks(features.queries), ranks(features.keys)

    def buckets(self, prepared: tuple[Tensor, Tensor], bucket_size: int) -> Buckets:
        """Return the buckets of ranks."""
        queries, keys = prepared
        longest = max(queries.shape[1], keys.shape[1])
        return one_table_per_dimension(queries // bucket_size, keys // bucket_size, -(-longest // bucket_size))

    def cost(self, features: Features, **point: Any) -> float:
        """Count the sorting: n log2 n comparisons per dimension."""
        return features.queries.shape[-1] * sum(n * max(n, 2).bit_length() for n in features.shape[1:])


class DynamicBuckets(BucketPredictor):
    """Buckets of equal width: (-1, 1), the range of `tanh(temperature * x)`, in ⌈keys / bucket_size⌉ intervals."""

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
        """Return the intervals of queries and keys; a value on a boundary belongs to the lower interval."""
        count = -(-prepared.shape[2] // bucket_size)
        boundaries = torch.linspace(-1 + 2 / count, 1 - 2 / count, count - 1, device=prepared.queries.device)
        queries, keys = (
            torch.bucketize(torch.tanh(temperature * vectors), boundaries)
            for vectors in (prepared.queries, prepared.keys)
        )
        return one_table_per_dimension(queries, keys, count)

    def cost(self, features: Features, **point: Any) -> float:
        """Count nine operations per value: eight for the hyperbolic tangent, one to find the interval."""
        return 9.0 * features.queries.shape[-1] * sum(features.shape[1:])
