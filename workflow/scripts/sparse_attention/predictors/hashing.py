"""Locality-sensitive hashing: vectors of similar direction are likely to be in the same bucket."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparse_attention.attention.supports import Buckets
from sparse_attention.block_sparse.cpu import nearest
from sparse_attention.block_sparse.dispatch import kernel_for
from sparse_attention.errors import InputError
from sparse_attention.predictors.base import BucketPredictor
from sparse_attention.predictors.features import Features


def nearest_directions(vectors: Tensor, rotations: Tensor) -> Tensor:
    """Return the direction with the smallest angle to each vector: angular hashing (arXiv 1509.02897).

    Parameters
    ----------
    vectors : Tensor
        ``(heads, n, dim)``.
    rotations : Tensor
        ``(heads, rounds, half, dim)``: half of the directions of each round; the other half are their opposites.

    Returns
    -------
    Tensor
        int64 ``(heads, n, rounds)``, from 0 to `2 · half - 1`; of equal angles the first.
    """
    products = rotations @ vectors.transpose(-1, -2)[:, None]
    if kernel_for(str(products.device), products.dtype) == "cpu":
        return nearest.nearest_directions(products).transpose(1, 2)
    return torch.cat([products, -products], dim=2).max(2).indices.transpose(1, 2)


class Reformer(BucketPredictor):
    """Keep the pairs that share a bucket of the Reformer's angular hashing (arXiv 2001.04451) in any round.

    Each round has its own directions, drawn for each head and example. The first rounds do not depend on the number of
    rounds, so more rounds only add pairs. A Reformer has one vector for query and key. With `tied`, this is imitated as
    in Sparsefinder: query and key of a position are hashed as one concatenated vector, so that the support is symmetric
    and holds the diagonal. Otherwise queries and keys are hashed separately, with the same directions. The Reformer's
    chunks and its factorised numbers of buckets are not used.

    The published code seeds torch's global generator with one of a thousand seeds at every call, which determines all
    numbers drawn later. Here, other random numbers are not affected.
    """

    name = "reformer"
    label = "Reformer LSH"
    paper = "Kitaev, Kaiser, Levskaya. Reformer: The Efficient Transformer. ICLR 2020. arXiv:2001.04451"
    needs = ("projection",)
    parameters = {
        "buckets": {"type": "integer", "minimum": 2, "multipleOf": 2, "description": "an even whole number"},
        "rounds": {"type": "integer", "minimum": 1},
        "tied": {"type": "boolean"},
    }

    def buckets(self, prepared: Features, buckets: int, rounds: int, tied: bool) -> Buckets:
        """Return the bucket of each query and key in every round."""
        queries, keys = prepared.queries, prepared.keys
        if tied:
            queries = keys = self._concatenated(prepared)
        heads = range(prepared.heads.start, prepared.heads.stop)
        shape = (rounds, buckets // 2, queries.shape[-1])
        drawn = np.stack([self.rng(prepared, head).standard_normal(shape, dtype=np.float32) for head in heads])
        rotations = torch.from_numpy(drawn).to(queries)
        first = torch.arange(rounds, device=queries.device) * buckets
        of_queries = nearest_directions(queries, rotations) + first
        of_keys = of_queries if tied else nearest_directions(keys, rotations) + first
        return Buckets(of_queries, of_keys, buckets, rounds)

    def _concatenated(self, features: Features) -> Tensor:
        """Return query and key of each position as one vector; `InputError` when their numbers differ."""
        _, queries, keys = features.shape
        if queries != keys:
            raise InputError(
                f"predictors.{self.name}.tied: true, but example {features.index} has {queries} queries and {keys} "
                "keys; allowed: false, or data with as many queries as keys"
            )
        return torch.cat([features.queries, features.keys], dim=-1)

    def cost(self, features: Features, **point: Any) -> float:
        """Count per vector a product per dimension and direction, without opposites, and a comparison per bucket."""
        _, queries, keys = features.shape
        vectors, dims = (queries, 2) if point["tied"] else (queries + keys, 1)
        products = point["buckets"] // 2 * dims * features.queries.shape[-1]
        return float(vectors * point["rounds"] * (products + point["buckets"]))
