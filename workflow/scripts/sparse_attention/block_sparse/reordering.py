"""Orders of queries and keys in which those of a bucket are neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from sparse_attention.attention.supports import Buckets


@dataclass(frozen=True)
class Reordering:
    """Another order of queries and keys, for each head.

    Attributes
    ----------
    queries, keys : Tensor
        The place at which each one stood before, int64 ``(batch, heads, queries)`` and ``(batch, heads, keys)``; batch
        may be 1, then all share.

    Raises
    ------
    ValueError
        When the places of a head are not those from 0 on, each once.
    """

    queries: Tensor
    keys: Tensor

    def __post_init__(self) -> None:
        for name, places in (("queries", self.queries), ("keys", self.keys)):
            if places.dtype != torch.int64 or places.ndim != 3:
                raise ValueError(f"order of {name}: {tuple(places.shape)} {places.dtype}; allowed: int64 of three axes")
            # kernels read at these places, so they must be within bounds
            lowest, highest = torch.aminmax(places) if places.numel() else (0, -1)
            inside = lowest >= 0 and highest < places.shape[-1]
            if not inside or not torch.zeros_like(places, dtype=torch.bool).scatter_(-1, places, True).all():
                last = places.shape[-1] - 1
                raise ValueError(f"order of {name}: a place is left out; allowed: every place from 0 to {last} once")

    @classmethod
    def by_bucket(cls, buckets: Buckets) -> Self:
        """Sort by the first bucket of each vector; vectors without a bucket come first, equal ones keep their order."""
        return cls(*(_sorted_places(given[..., 0])[None] for given in (buckets.queries, buckets.keys)))

    def apply(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values in this order, ``(batch, heads, n, dim)`` each.

        Of heads of queries that share a head of keys, each gets its own.
        """
        shared = query.shape[1] // key.shape[1]
        key, value = (tensor.repeat_interleave(shared, 1) for tensor in (key, value))
        return take(query, self.queries), take(key, self.keys), take(value, self.keys)


def _sorted_places(buckets: Tensor) -> Tensor:
    """Return the places of buckets ``(heads, n)`` in ascending order; on a CPU with numpy, ten times faster."""
    if buckets.is_cuda:
        return buckets.argsort(dim=-1, stable=True)
    numbers = buckets.numpy()
    # numpy sorts 16-bit numbers by radix
    narrow = numbers.astype(np.int16) if numbers.max(initial=0) <= np.iinfo(np.int16).max else numbers
    return torch.from_numpy(np.argsort(narrow, axis=-1, kind="stable"))


def take(rows: Tensor, order: Tensor) -> Tensor:
    """Return rows ``(batch, heads, n, dim)`` in another order, ``(batch or 1, heads, n)``."""
    return rows.gather(2, order[..., None].expand(len(rows), -1, -1, rows.shape[-1]))
