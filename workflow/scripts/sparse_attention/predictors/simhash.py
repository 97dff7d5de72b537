"""Hash queries and keys by the signs of random projections, in several tables (MagicPIG)."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from sparse_attention.attention.blocks import block_any
from sparse_attention.attention.supports import Buckets, PackedSupport, Support, pack, popcount
from sparse_attention.predictors.base import BucketPredictor
from sparse_attention.predictors.features import Features


class SimHash(BucketPredictor):
    """Keep the pairs whose hashes of `bits` signs of random projections are equal in at least `collisions` tables.

    From MagicPIG (arXiv 2410.16179), which requires two collisions. The mean key is subtracted from the keys: this
    changes all scores of a query equally, but separates the directions of keys. The random directions are drawn once;
    there, all heads share them, and here, each head of each layer has its own.

    MagicPIG treats the colliding keys as a sample and weighs them by their sampling probability, and it does not hash
    the first and last tokens and some layers. Here, the colliding pairs are the support, in all layers.
    """

    name = "simhash"
    label = "SimHash tables"
    paper = "Chen et al. MagicPIG: LSH Sampling for Efficient LLM Generation. 2024. arXiv:2410.16179"
    parameters = {
        "bits": {"type": "integer", "minimum": 1, "maximum": 12},
        "tables": {"type": "integer", "minimum": 1},
        "collisions": {"type": "integer", "minimum": 1, "description": "tables that must agree, at most all"},
    }
    at_most = {"collisions": "tables"}
    quadratic = True

    def directions(self, features: Features, bits: int, tables: int) -> Tensor:
        """Draw random directions, ``(heads, head_dim, tables · bits)``; those of the first tables never change."""
        first, size = replace(features, index=0), features.raw_keys.shape[-1]
        heads = range(features.heads.start, features.heads.stop)
        drawn = [self.rng(first, head).standard_normal((tables, bits, size), dtype=np.float32) for head in heads]
        return torch.from_numpy(np.stack(drawn)).flatten(1, 2).transpose(1, 2).to(features.device)

    def buckets(self, prepared: Features, **point: int) -> Buckets:
        """Return the bucket of each vector in each table: the signs of `bits` projections as a binary number."""
        bits, tables = point["bits"], point["tables"]
        directions = self.directions(prepared, bits, tables)
        keys = prepared.raw_keys - prepared.raw_keys.mean(1, keepdim=True)
        powers = 2.0 ** torch.arange(bits, device=keys.device)
        first = torch.arange(tables, device=keys.device) * 2**bits
        queries, keys = (
            ((vectors @ directions > 0).unflatten(-1, (tables, bits)).float() @ powers).long() + first
            for vectors in (prepared.raw_queries, keys)
        )
        return Buckets(queries, keys, 2**bits, tables, point["collisions"])

    def block_pairs(self, features: Features, query_block: int, key_block: int, **point: Any) -> Tensor:
        """Return the pairs of blocks that share a bucket; see `Predictor.block_pairs`.

        With `collisions` above 1, blocks that share so many buckets rarely hold a pair that does, so all pairs of
        tokens are looked at, 64 in one operation.
        """
        if point["collisions"] == 1:
            return super().block_pairs(features, query_block, key_block, **point)
        found = []
        for head in range(features.shape[0]):
            support = self.buckets(features.part(slice(head, head + 1)), **point).support()
            rows = pad(support.words, (0, 0, 0, -support.words.shape[1] % query_block)).unflatten(1, (-1, query_block))
            words = functools.reduce(torch.bitwise_or, rows.unbind(2))
            found.append(block_any(PackedSupport(words, support.keys).unpacked(), 1, key_block))
        return torch.cat(found)

    def supports(self, features: Features, points: Sequence[Mapping[str, Any]]) -> Iterator[tuple[list[int], Support]]:
        """Yield the supports; kept pairs count a score each, and each collision an addition, to count collisions."""
        allowed = pack(features.valid)
        for places, support in super().supports(features, points):
            assert isinstance(support, PackedSupport) and support.operations is not None
            kept = popcount(support.words & allowed)
            yield places, replace(support, operations=kept + support.operations / features.raw_keys.shape[-1])

    def cost(self, features: Features, **point: Any) -> float:
        """Count the mean key, and all projections with their signs; the collisions are counted by `supports`."""
        head_dim, hashes = features.raw_keys.shape[-1], point["bits"] * point["tables"]
        return float(features.shape[2] * head_dim + sum(features.shape[1:]) * hashes * (head_dim + 1))
