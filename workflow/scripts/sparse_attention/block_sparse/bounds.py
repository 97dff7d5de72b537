"""Upper bounds on scores, for blocks of keys and for single pairs; all in float64, with their rounding error.

A block of keys with centre `c` and a block of queries with centre `m` give, with `d = k - c`:

- box: `q · k <= Σ max(q_i low_i, q_i high_i)`,
- ball: `q · k = q · c + q · d <= q · c + |Aq| max |Cd|`, where `AᵀC = 1`,
- ball about both centres: `q · k = m · k + (q - m) · c + (q - m) · d <= max m · k + (q - m) · c + |A(q - m)| max |Cd|`,

and a pair, with the first few dimensions of `Aq` and `Cd` exactly: `q · k <= q · c + Σ (Aq)_i (Cd)_i + |rest| |rest|`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import pad

CHUNK = 2**22  # bounds that are held at a time
CONDITION = 1e-6  # smallest moment of a direction, as a share of the largest
UNIT = 2.0**-53  # of float64


@dataclass(frozen=True)
class Basis:
    """Two linear maps of queries and keys that keep their products: ``(…, dim, dim)`` each, for column vectors.

    Directions are sorted by how much they contribute to products, the highest first.

    Attributes
    ----------
    queries, keys : Tensor
        The maps `A` and `C`.
    error : Tensor
        ``(…)``: `|q · k - (Aq) · (Ck)|` is at most this times `|q| |k|`, also when products are computed in float64.
    """

    queries: Tensor
    keys: Tensor
    error: Tensor

    @classmethod
    def balanced(cls, queries: Tensor, keys: Tensor) -> Basis:
        """Give queries and keys, float64 ``(…, n, dim)``, the same diagonal second moments.

        Of all maps these make the mean product of squared norms smallest. Where moments overflow or vanish, the basis
        stays as it is.
        """
        roots = [_powers(queries.mT @ queries, power) for power in (-0.5, 0.5)]
        values, vectors = _spectrum(roots[1] @ (keys.mT @ keys) @ roots[1])
        values, vectors = values.flip(-1), vectors.flip(-1)
        of_queries, of_keys = (
            values.pow(power)[..., None] * vectors.mT @ root for power, root in zip((0.25, -0.25), roots, strict=True)
        )
        return cls(of_queries, of_keys, _error(of_queries, of_keys))


def _spectrum(moments: Tensor) -> tuple[Tensor, Tensor]:
    """Return eigenvalues, in ascending order and kept away from 0, and eigenvectors; of 1 where they would vanish."""
    largest = moments.abs().amax((-2, -1), keepdim=True)
    usable = (largest > 1e-200) & (largest < 1e200)  # False for NaN
    largest = largest.where(usable, 1.0)
    same = torch.eye(moments.shape[-1], dtype=moments.dtype, device=moments.device)
    values, vectors = torch.linalg.eigh((moments / largest).where(usable, same))
    return torch.maximum(values, CONDITION * values[..., -1:]) * largest[..., 0], vectors


def _powers(moments: Tensor, power: float) -> Tensor:
    values, vectors = _spectrum(moments)
    return vectors * values.pow(power)[..., None, :] @ vectors.mT


def _error(queries: Tensor, keys: Tensor) -> Tensor:
    """Bound the error of products in a basis.

    `q · k - (Aq) · (Ck) = qᵀ (1 - AᵀC) k`. A product of dim terms in float64 is wrong by at most `dim u` times the sum
    of absolute values. So every computed product of A and C, of A and q, of C and k and of the results is wrong by at
    most `dim u |A| |C| |q| |k|`, with Frobenius norms. There are four, and differences, norms and sums add a few more
    roundings.
    """
    dim = queries.shape[-1]
    defect = queries.mT @ keys - torch.eye(dim, dtype=queries.dtype, device=queries.device)
    sizes = torch.linalg.matrix_norm(queries) * torch.linalg.matrix_norm(keys)
    return 2 * torch.linalg.matrix_norm(defect) + (16 * dim + 128) * UNIT * sizes


class Bounds:
    """Upper bounds on the products of queries and keys.

    Parameters
    ----------
    query, key : Tensor
        float64 ``(batch, heads, queries, dim)`` and ``(batch, heads, keys, dim)``.
    real : Tensor
        Bool ``(batch, heads or 1, keys)``: keys that some query may see; the others do not count.
    query_block, key_block : int
        Tokens of a block.
    """

    def __init__(self, query: Tensor, key: Tensor, real: Tensor, query_block: int, key_block: int) -> None:
        self.query = in_blocks(query, query_block)
        self.real = in_blocks(real.expand(key.shape[:3])[..., None], key_block)
        self.key = in_blocks(key, key_block).masked_fill(~self.real, 0.0)
        self.centres = self.key.sum(-2) / self.real.sum(-2).clamp_min(1)
        self.offsets = (self.key - self.centres[..., None, :]).masked_fill(~self.real, 0.0)
        self.query_centres = self.query.mean(-2)
        self.query_offsets = self.query - self.query_centres[..., None, :]
        self.basis = Basis.balanced(self.query_offsets.flatten(2, 3), self.offsets.flatten(2, 3))
        self.turned = (self.offsets.flatten(2, 3) @ self.basis.keys.mT).unflatten(2, self.offsets.shape[2:4])
        self.radii = self.turned.norm(dim=-1).amax(-1)

    @cached_property
    def corners(self) -> tuple[Tensor, Tensor]:
        """Lowest and highest entries of the keys of each block, ``(batch, heads, key_blocks, dim)``; 0 without keys."""
        some = self.real.any(-2)
        low, high = (self.key.masked_fill(~self.real, fill) for fill in (torch.inf, -torch.inf))
        return low.amin(-2).masked_fill(~some, 0.0), high.amax(-2).masked_fill(~some, 0.0)

    @cached_property
    def highest(self) -> Tensor:
        """``(batch, heads, query_blocks, key_blocks)``: `max m · k - m · c`, of the centres of queries and of keys."""
        products = (self.query_centres @ self.key.flatten(2, 3).mT).unflatten(-1, self.key.shape[2:4])
        highest = products.masked_fill(~self.real[:, :, None, :, :, 0], -torch.inf).amax(-1)
        return highest - self.query_centres @ self.centres.mT

    @cached_property
    def reach(self) -> Tensor:
        """``(batch, heads)``: at least the norm of every key, and of the furthest corner of every box."""
        return self.key.abs().amax((-3, -2)).norm(dim=-1)

    def error(self) -> Tensor:
        """Return what bounds may be too low by, ``(batch, heads, query_blocks, 1)``.

        The vectors that are multiplied have norms of at most twice the longest query of the block, for `q - m`, and
        twice the reach, for `k - c`.
        """
        longest = self.query.norm(dim=-1).amax(-1)
        return 4 * (self.basis.error * self.reach)[..., None, None] * longest[..., None]

    def of_blocks(self, rows: slice) -> Tensor:
        """Return for some blocks of queries the smallest bound of each query and key block.

        Returns
        -------
        Tensor
            ``(batch, heads, rows, query_block, key_blocks)``; any number where a block has no real key.
        """
        # blocks of queries are flattened: a product of many small matrices is slow
        size, middle, radii = self.query.shape[3], self.centres.mT, self.radii[:, :, None]
        query, offsets = (part[:, :, rows].flatten(2, 3) for part in (self.query, self.query_offsets))
        low, high = (corner.mT for corner in self.corners)
        box = query.clamp_min(0) @ high + query.clamp_max(0) @ low
        products = query @ middle
        lengths, offset_lengths = (
            (part @ self.basis.queries.mT).norm(dim=-1, keepdim=True) for part in (query, offsets)
        )
        of_centres = self.highest[:, :, rows].repeat_interleave(size, 2)
        smallest = torch.minimum(products + lengths * radii, products + offset_lengths * radii + of_centres)
        return torch.minimum(smallest, box).unflatten(2, (-1, size))

    def of_pairs(self, places: tuple[Tensor, ...], rank: int | None) -> Tensor:
        """Return for some pairs of blocks the bound of each query and key.

        Parameters
        ----------
        places : tuple of Tensor
            Batch, head, block of queries and block of keys, ``(pairs,)`` each.
        rank : int or None
            Dimensions that count exactly; None: all, in the basis that was given.

        Returns
        -------
        Tensor
            ``(pairs, query_block, key_block)``.
        """
        batch, head, of_queries, of_keys = places
        query = self.query[batch, head, of_queries]
        if rank is None:
            return query @ self.key[batch, head, of_keys].mT
        turned, offsets = query @ self.basis.queries[batch, head].mT, self.turned[batch, head, of_keys]
        rests = turned[..., rank:].norm(dim=-1), offsets[..., rank:].norm(dim=-1)
        middle = query @ self.centres[batch, head, of_keys][..., None]
        return middle + turned[..., :rank] @ offsets[..., :rank].mT + rests[0][..., None] * rests[1][..., None, :]


def in_blocks(rows: Tensor, size: int) -> Tensor:
    """Cut rows ``(batch, heads, n, dim)`` into blocks ``(batch, heads, blocks, size, dim)``, filled up with zeros."""
    return pad(rows, (0, 0, 0, -rows.shape[2] % size)).unflatten(2, (-1, size))
