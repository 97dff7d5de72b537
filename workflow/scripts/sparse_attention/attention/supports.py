"""Supports of one or several points, in the forms that metrics read: levels, or 64 keys packed into a word."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

WORD = 64


class Support(Protocol):
    """The nested supports of `points` points, the smallest first, over ``(heads, queries, keys)``."""

    @property
    def points(self) -> int:
        """Number of points."""
        ...

    @property
    def operations(self) -> Tensor | None:
        """Number of scores that are computed, float64 ``(heads,)``; None when it is the number of kept pairs."""
        ...

    def at(self, flat: Tensor) -> np.ndarray:
        """Return the levels of some pairs.

        Parameters
        ----------
        flat : Tensor
            int64 ``(pairs,)``: flat positions in ``(heads, queries, keys)``.

        Returns
        -------
        ndarray
            uint8 ``(pairs,)``: the index of the first point that keeps the pair; `points` when none does.
        """
        ...

    def histogram(self, bins: Bins) -> np.ndarray:
        """Count the pairs of each head by level and bin, float64 ``(heads, points + 1, bins)``."""
        ...


@dataclass(frozen=True)
class Bins:
    """The bin in which each pair is counted, the same for all heads.

    Attributes
    ----------
    codes : Tensor
        int16 ``(queries, keys)``: the bin of each pair; `count` for a pair that is not counted.
    count : int
        Number of bins.
    weights : Tensor, optional
        float64 ``(queries, keys)``: the weight of each pair, by default 1.
    """

    codes: Tensor
    count: int
    weights: Tensor | None = None

    @functools.cached_property
    def words(self) -> Tensor:
        """The pairs of each bin, packed, int64 ``(count, queries, words)``."""
        return torch.stack([pack(self.codes == code) for code in range(self.count)])

    @functools.cached_property
    def sizes(self) -> np.ndarray:
        """Number of pairs of each bin, float64 ``(count,)``."""
        return popcount(self.words).cpu().numpy()


@dataclass(frozen=True)
class Levels:
    """Nested supports as levels.

    Attributes
    ----------
    first : Tensor
        uint8 ``(heads, queries, keys)``: the index of the first point that keeps the pair; `points` when none does.
    points : int
        Number of points.
    operations : Tensor, optional
        See `Support.operations`.
    """

    first: Tensor
    points: int
    operations: Tensor | None = None

    def at(self, flat: Tensor) -> np.ndarray:
        """See `Support.at`."""
        if self.first.is_cuda:
            return self.first.reshape(-1)[flat].cpu().numpy()
        return self.first.numpy().reshape(-1).take(flat.numpy())

    def histogram(self, bins: Bins) -> np.ndarray:
        """See `Support.histogram`."""
        size, width = (self.points + 1) * (bins.count + 1), bins.count + 1
        weights = None if bins.weights is None else bins.weights.reshape(-1)
        counts = [
            torch.bincount((bins.codes + head.to(torch.int16) * width).reshape(-1), weights, size)
            for head in self.first
        ]
        table = torch.stack(counts).cpu().numpy().astype(np.float64)
        return table.reshape(len(counts), self.points + 1, width)[..., : bins.count]


@dataclass(frozen=True)
class PackedSupport:
    """One support, with 64 keys packed into a word: key `j` is bit `j % 64` of word `j // 64`.

    Attributes
    ----------
    words : Tensor
        int64 ``(heads, queries, words)``; the bits behind the last key are 0.
    keys : int
        Number of keys.
    operations : Tensor, optional
        See `Support.operations`.
    """

    words: Tensor
    keys: int
    operations: Tensor | None = None
    points: int = 1

    @classmethod
    def of(cls, support: Tensor) -> PackedSupport:
        """Pack a support, bool ``(heads, queries, keys)``."""
        return cls(pack(support), support.shape[-1])

    def at(self, flat: Tensor) -> np.ndarray:
        """See `Support.at`."""
        width = self.words.shape[-1] * WORD
        places = flat if width == self.keys else flat + (flat // self.keys) * (width - self.keys)
        if self.words.is_cuda:
            words = self.words.reshape(-1)[places // WORD]
            return 1 - ((words >> (places % WORD)) & 1).to(torch.uint8).cpu().numpy()
        bits = places.numpy()
        octets = _octets(self.words).reshape(-1).take(bits >> 3)
        return ((octets >> (bits & 7).astype(np.uint8)) & 1) ^ 1

    def histogram(self, bins: Bins) -> np.ndarray:
        """See `Support.histogram`."""
        if bins.weights is not None:
            return Levels((~self.unpacked()).to(torch.uint8), 1).histogram(bins)
        kept = popcount(self.words[:, None] & bins.words).cpu().numpy()
        return np.stack([kept, bins.sizes - kept], axis=1)

    def unpacked(self) -> Tensor:
        """Return the support, bool ``(heads, queries, keys)``."""
        if self.words.is_cuda:
            bits = (self.words[..., None] >> torch.arange(WORD, device=self.words.device)) & 1
            return bits.flatten(-2)[..., : self.keys].bool()
        unpacked = np.unpackbits(_octets(self.words), axis=-1, count=self.keys, bitorder="little")
        return torch.from_numpy(unpacked.view(bool))


@dataclass(frozen=True)
class Buckets:
    """The buckets of queries and keys; a query meets a key when they share a bucket.

    Attributes
    ----------
    queries, keys : Tensor
        int64 ``(heads, queries, …)`` and ``(heads, keys, …)``: for each vector the different buckets that hold it, −1
        for none. Bucket `b` of table `t` has the number `t * size + b`.
    size : int
        Number of buckets in a table.
    tables : int
        Number of tables.
    at_least : int
        Number of buckets that a query and a key must share to meet.
    """

    queries: Tensor
    keys: Tensor
    size: int
    tables: int = 1
    at_least: int = 1

    def pairs(self) -> Tensor:
        """Return the pairs that meet, bool ``(heads, queries, keys)``, by the plain definition."""
        shared = torch.zeros(*self.queries.shape[:2], self.keys.shape[1], dtype=torch.int64, device=self.keys.device)
        for query in self.queries.unbind(-1):
            for key in self.keys.unbind(-1):
                shared += (query[:, :, None] == key[:, None, :]) & (query[:, :, None] >= 0)
        return shared >= self.at_least

    def support(self, valid: Tensor | None = None) -> PackedSupport:
        """Return the pairs that meet, packed, and the number of scores that are computed.

        A valid pair that shares several buckets is computed once in each, so it counts as often.

        Parameters
        ----------
        valid : Tensor, optional
            Bool ``(queries, keys)``; without it, scores are not counted.
        """
        (heads, queries, _), keys = self.queries.shape, self.keys.shape[1]
        table = self._members()
        count, words = table.shape[1:]
        # bucket -1 becomes the last row, which is empty
        places = self.queries.remainder(count) + (torch.arange(heads, device=table.device) * count)[:, None, None]
        reached = table.new_zeros(self.at_least, heads, queries, words)
        allowed = None if valid is None else pack(valid)
        meetings = torch.zeros(heads, dtype=torch.float64, device=table.device)
        for place in places.unbind(-1):
            met = table.flatten(0, 1).index_select(0, place.reshape(-1)).view(heads, queries, words)
            if allowed is not None:
                meetings += popcount(met & allowed)
            for more in range(self.at_least - 1, 0, -1):
                reached[more] |= reached[more - 1] & met
            reached[0] |= met
        return PackedSupport(reached[-1], keys, None if allowed is None else meetings)

    def _members(self) -> Tensor:
        """Return the keys of each bucket, int64 ``(heads, buckets + 1, words)``; the last row, index −1, is empty."""
        heads, keys, lists = self.keys.shape
        words = -(-keys // WORD)
        members = torch.zeros(heads, self.size * self.tables + 1, words, dtype=torch.int64, device=self.keys.device)
        position = torch.arange(keys, device=self.keys.device)
        bits = (torch.ones_like(position) << (position % WORD))[:, None].expand(keys, lists)
        bucket = torch.where(self.keys < 0, self.size * self.tables, self.keys)
        cells = bucket * words + (position // WORD)[:, None]
        # a key is in a bucket at most once, so the sum of its bits is their union
        members.view(heads, -1).scatter_add_(1, cells.reshape(heads, -1), bits.reshape(1, -1).expand(heads, -1))
        members[:, -1] = 0
        return members


def pack(mask: Tensor) -> Tensor:
    """Pack a mask, bool ``(…, keys)``, into words, int64 ``(…, words)``."""
    if not mask.is_cuda:
        packed = np.packbits(mask.numpy(), axis=-1, bitorder="little")
        words = np.zeros((*packed.shape[:-1], -(-mask.shape[-1] // WORD) * 8), np.uint8)
        words[..., : packed.shape[-1]] = packed
        return torch.from_numpy(words.view("<i8").astype(np.int64, copy=False))
    width = -(-mask.shape[-1] // WORD)
    filled = torch.nn.functional.pad(mask, (0, width * WORD - mask.shape[-1])).unflatten(-1, (width, WORD))
    return (filled.to(torch.int64) << torch.arange(WORD, device=mask.device)).sum(-1)


def popcount(words: Tensor) -> Tensor:
    """Count the set bits of words, int64 ``(…, queries, words)``, over the last two axes: float64 ``(…)``."""
    if not words.is_cuda:
        return torch.from_numpy(np.bitwise_count(words.numpy().view(np.uint64)).sum((-1, -2), dtype=np.float64))
    return _bits_by_arithmetic(words).sum((-1, -2)).to(torch.float64)


def _octets(words: Tensor) -> np.ndarray:
    """Return the bytes of words on the CPU, uint8 ``(…, 8 · words)``, lowest bits first."""
    return words.contiguous().numpy().astype("<i8", copy=False).view(np.uint8)


def _bits_by_arithmetic(words: Tensor) -> Tensor:
    """Count the bits of each int64 without a CPU instruction: in pairs, in fours, in bytes, then in all bytes."""
    ones, pairs, fours = 0x5555555555555555, 0x3333333333333333, 0x0F0F0F0F0F0F0F0F
    words = words - ((words >> 1) & ones)
    words = (words & pairs) + ((words >> 2) & pairs)
    words = (words + (words >> 4)) & fours
    return ((words * 0x0101010101010101) >> 56) & 0xFF
