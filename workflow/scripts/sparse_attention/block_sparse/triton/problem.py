"""What the kernels are started with: tensors, sizes and settings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import triton
from torch import Tensor

from sparse_attention.block_sparse.triton.walks import QueryWalk
from sparse_attention.block_sparse.visible import Visible

SOFTMAX, ANY_POWER, MOST_FACTORS = 0, -1, 8
LOG2_E = math.log2(math.e)
TILES = {
    2: {64: (64, 64, 4, 3), 128: (64, 64, 8, 2), 256: (32, 32, 4, 2)},
    4: {32: (64, 32, 4, 2), 64: (32, 32, 4, 2), 128: (32, 32, 8, 2), 256: (16, 16, 4, 1)},
}
"""Queries and keys of a tile, warps and stages, by the bytes of a number and the most numbers of a query or value.

Compiled for compute capabilities 8.0 and 9.0 they need at most 99 KB of shared memory, and registers spill little.
"""


@dataclass(frozen=True)
class Problem:
    """An attention over lists, with contiguous queries, keys and values of one dtype."""

    query: Tensor
    key: Tensor
    value: Tensor
    visible: Visible | None
    walk: QueryWalk
    alpha: float
    scaling: float

    @property
    def bounds(self) -> tuple[Tensor, Tensor, Tensor]:
        """First and last position that a query sees, and positions of keys, with equal numbers of batches and heads.

        Where every query sees every key they are not read.
        """
        if self.visible is None:
            return (self.walk.counts,) * 3
        bounds = self.visible.first, self.visible.last, self.visible.position
        heads = max(bound.shape[1] for bound in bounds)
        first, last, position = (bound.expand(len(self.query), heads, -1).contiguous() for bound in bounds)
        return first, last, position

    @property
    def sizes(self) -> tuple[int, ...]:
        """Numbers of queries and keys, heads that share keys, and heads with own bounds; batches and heads of lists."""
        seen = 1 if self.visible is None else self.bounds[0].shape[1]
        shared = self.query.shape[1] // self.key.shape[1]
        return self.query.shape[2], self.key.shape[2], shared, seen, *self.walk.blocks.shape[:2]

    @property
    def tiles(self) -> tuple[int, int, dict[str, int]]:
        """Most queries and most keys of a tile, and how many warps and stages work on it."""
        widest = max(self.query.shape[-1], self.value.shape[-1])
        sizes = TILES[self.query.element_size()]
        rows, keys, warps, stages = next(sizes[width] for width in sorted(sizes) if widest <= width)
        return rows, keys, {"num_warps": warps, "num_stages": stages}

    @property
    def unit(self) -> float:
        """What thresholds are multiplied by to be those of the kernels' scores."""
        return LOG2_E if self.alpha == 1 else 1.0

    @property
    def scale(self) -> float:
        """What products of queries and keys are multiplied by: powers of 2 make softmax, powers of x entmax."""
        return self.scaling * (LOG2_E if self.alpha == 1 else self.alpha - 1)

    @property
    def exponent(self) -> float:
        """Power of what a score exceeds the threshold by, which is the probability; of no use to softmax."""
        return 0.0 if self.alpha == 1 else 1 / (self.alpha - 1)

    @property
    def settings(self) -> dict[str, Any]:
        """What the kernels are compiled for."""
        whole = round(self.exponent)
        few = abs(self.exponent - whole) < 1e-6 and whole <= MOST_FACTORS
        dim, value_dim = self.query.shape[-1], self.value.shape[-1]
        return {
            "POWER": SOFTMAX if self.alpha == 1 else whole if few else ANY_POWER,
            "BOUNDED": self.visible is not None,
            "QUERY_BLOCK": self.walk.query_block,
            "KEY_BLOCK": self.walk.key_block,
            "DIM": dim,
            "WIDTH": padded(dim),
            "VALUE_DIM": value_dim,
            "VALUE_WIDTH": padded(value_dim),
            "PRECISION": "tf32" if torch.backends.cuda.matmul.allow_tf32 else "tf32x3",
        }


def padded(size: int, most: int | None = None) -> int:
    """Return the power of two of a tile that holds so many tokens or dims, from 16 on and up to `most`."""
    power = max(16, triton.next_power_of_2(size))
    return power if most is None else min(power, most)
