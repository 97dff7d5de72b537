"""Compute the distances that Sparsefinder's code uses between queries and keys.

All distances are computed from the differences `q - k`. Vectors are normalised in float64, and distances are rounded to
float32 at the end. So the distance of equal vectors is exactly 0, and that of orthogonal unit vectors exactly 1. The
original code computes `1 - q kᵀ` and expands `||q - k||²`, so its distances of equal vectors are rounding errors of
either sign.

Queries are ``(…, queries, dim)``, keys ``(…, keys, dim)``, distances ``(…, queries, keys)`` in float32.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

DIRECT = "donot_use_mm_for_euclid_dist"  # torch.cdist then takes differences and does not expand the square


def unit(vectors: Tensor, p: float = 2.0) -> Tensor:
    """Divide vectors ``(…, dim)`` by their p-norm, in float64; a zero vector stays as it is.

    The original code divides by at least 1e-7.
    """
    vectors = vectors.double()
    highest = vectors.abs().amax(-1, keepdim=True)
    # divide by the largest entry first, so that no power overflows
    scaled = vectors / torch.where(highest > 0, highest, 1)
    return scaled / torch.linalg.vector_norm(scaled, p, dim=-1, keepdim=True).clamp_(min=1)


def minkowski(queries: Tensor, keys: Tensor, p: float) -> Tensor:
    """Return `(Σ_d |q_d - k_d|^p)^(1/p)`, the largest difference when p is infinite; p is at least 1."""
    return _minkowski(queries, keys, p).float()


def euclidean(queries: Tensor, keys: Tensor) -> Tensor:
    """Return `||q - k||`."""
    return minkowski(queries, keys, 2)


def squared_euclidean(queries: Tensor, keys: Tensor) -> Tensor:
    """Return `||q - k||²`."""
    return _minkowski(queries, keys, 2).square_().float()


def cosine(queries: Tensor, keys: Tensor) -> Tensor:
    """Return `1 - cos(q, k)` as half the squared distance of unit vectors, and 1 where a vector is zero."""
    distance = _minkowski(unit(queries), unit(keys), 2).square_().div_(2).float()
    zero_query, zero_key = ((vectors == 0).all(-1) for vectors in (queries, keys))
    return distance.masked_fill_(zero_query[..., :, None] | zero_key[..., None, :], 1)


def direction(queries: Tensor, keys: Tensor, p: float) -> Tensor:
    """Return `||q / ||q||_p - k / ||k||_p||_p`, the Minkowski distance of unit vectors."""
    return minkowski(unit(queries, p), unit(keys, p), p)


def least_squared(queries: Tensor, keys: Tensor) -> Tensor:
    """Return `min_d (q_d - k_d)²`, the smallest squared difference over the dimensions."""
    least = torch.full((), math.inf, device=queries.device, dtype=queries.dtype)
    for difference in _differences(queries, keys):
        least = torch.minimum(least, difference.abs_())
    return least.square().float()


def least_squared_of_units(queries: Tensor, keys: Tensor, p: float = 2.0) -> Tensor:
    """Return the smallest squared difference over the dimensions of vectors divided by their p-norms."""
    return least_squared(unit(queries, p), unit(keys, p))


def _minkowski(queries: Tensor, keys: Tensor, p: float) -> Tensor:
    """Return `minkowski` before it is rounded to float32."""
    if p in (1, 2, math.inf):
        return torch.cdist(queries.double(), keys.double(), p, DIRECT)
    highest = torch.cdist(queries, keys, math.inf, DIRECT)
    total, divisor = torch.zeros_like(highest), torch.where(highest > 0, highest, 1)
    for difference in _differences(queries, keys):
        # relative to the largest difference: a high power of a small number would be 0
        total += difference.abs_().div_(divisor).pow_(p)
    return total.pow_(1 / p).mul_(highest)


def _differences(queries: Tensor, keys: Tensor) -> Iterator[Tensor]:
    """Yield `q_d - k_d` of every pair, ``(…, queries, keys)``, one dimension at a time."""
    for query, key in zip(queries.unbind(-1), keys.unbind(-1), strict=True):
        yield query[..., :, None] - key[..., None, :]
