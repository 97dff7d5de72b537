"""Hash tables of sign random projections, for queries and keys apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparse_attention.attention.supports import Buckets, PackedSupport, Support, pack, popcount
from sparse_attention.predictors.base import BucketPredictor
from sparse_attention.predictors.features import Features


class SimHash(BucketPredictor):
    """Pairs whose hashes agree in at least `collisions` of `tables` tables, each of `bits` signs of random projections.

    From MagicPIG (arXiv 2410.16179): queries and keys are hashed apart, keys less the mean key, which moves all scores
    of a query alike but brings directions apart; two agreements are asked for. Directions are drawn once: there one
    set for all heads, here one for each head of each layer. MagicPIG goes on to weigh the keys so sampled by the chance
    of having been, and leaves its first and last tokens and some layers out of the hashing; here what meets is the
    support.
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

    def directions(self, features: Features, bits: int, tables: int) -> Tensor:
        """Return normal vectors of random planes, `(heads, head_dim, tables · bits)`; more tables add to fewer."""
        first, size = replace(features, index=0), features.raw_keys.shape[-1]
        heads = range(features.heads.start, features.heads.stop)
        drawn = [self.rng(first, head).standard_normal((tables, bits, size), dtype=np.float32) for head in heads]
        return torch.from_numpy(np.stack(drawn)).flatten(1, 2).transpose(1, 2).to(features.valid.device)

    def buckets(self, prepared: Features, **point: int) -> Buckets:
        """Return in each table the bucket that the signs of `bits` projections make, read as a binary number."""
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

    def supports(self, features: Features, points: Sequence[Mapping[str, Any]]) -> Iterator[tuple[list[int], Support]]:
        """Yield the supports; only kept pairs need a score, and other meetings the one addition that counts them."""
        allowed = pack(features.valid)
        for places, support in super().supports(features, points):
            assert isinstance(support, PackedSupport) and support.operations is not None
            kept = popcount(support.words & allowed)
            yield places, replace(support, operations=kept + support.operations / features.raw_keys.shape[-1])

    def cost(self, features: Features, **point: Any) -> float:
        """Count the mean key, and every projection of every vector with its sign; `supports` counts the meetings."""
        head_dim, hashes = features.raw_keys.shape[-1], point["bits"] * point["tables"]
        return float(features.shape[2] * head_dim + sum(features.shape[1:]) * hashes * (head_dim + 1))
