"""Data for an example's evaluation that does not depend on predictions: valid pairs, extras and bins."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from sparse_attention.attention.masks import KEEP, keep_mask, window_mask
from sparse_attention.attention.supports import Bins

# Inclusive upper ends of the bins of |key position - query position|; one more bin holds larger distances.
OFFSETS = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Frame:
    """The valid pairs of one example with their classes and bins, the same for all heads and predictions.

    Parameters
    ----------
    valid : Tensor
        Bool ``(queries, keys)``: the valid pairs.
    windows : sequence of int
        Widths of windows that are added to each support.
    keep : sequence of str
        Kept tokens (see `keep_mask`) that are added to each support. Every combination of a window and kept tokens is
        an *extra*; they are ordered by window, then by kept tokens.
    weights : Tensor, optional
        float64 ``(queries, keys)``: the number of valid token pairs in each pair of blocks. Default: `valid` itself.

    Attributes
    ----------
    valid_pairs : float
        Number of valid pairs; with weights, of valid token pairs.
    pairs_per_cell : float
        Mean number of valid token pairs in a valid pair of blocks; 1 without weights.
    held : Tensor
        int64 ``(held pairs,)``: flat positions of the valid pairs that any extra holds.
    held_classes, held_weights : ndarray
        ``(held pairs,)``: the class (see `Extras`) and the weight of each of these pairs; None without weights.
    """

    def __init__(
        self,
        valid: Tensor,
        windows: Sequence[int] = (0,),
        keep: Sequence[str] = ("none",),
        weights: Tensor | None = None,
    ) -> None:
        self.valid = valid
        self.extras = extras_of(*valid.shape, tuple(windows), tuple(keep))
        self.bins = Bins(offset_bins(valid), len(OFFSETS) + 1, weights)
        self.valid_pairs = float((valid if weights is None else weights).sum())
        self.pairs_per_cell = self.valid_pairs / max(float(valid.sum()), 1)
        classes = self.extras.classes.to(valid.device).reshape(-1)
        self.held = torch.nonzero((classes < self.extras.outside) & valid.reshape(-1))[:, 0]
        self.held_classes = classes[self.held].cpu().numpy()
        self.held_weights = None if weights is None else weights.reshape(-1)[self.held].cpu().numpy()


class Extras:
    """Windows and kept tokens that are added to supports, encoded as classes of pairs.

    Attributes
    ----------
    classes : Tensor
        int16 ``(queries, keys)``: a number for the first window that holds the pair and the kept tokens that hold it.
    count, outside : int
        Number of classes, and the class of pairs that no extra holds.
    """

    def __init__(self, queries: int, keys: int, windows: Sequence[int], keep: Sequence[str]) -> None:
        widths = sorted(set(windows))
        tokens = [name for name in ("cls", "last") if any(set(KEEP[name]) <= set(KEEP[kept]) for kept in keep)]
        # one axis for windows and one per token; the last entry of each is for pairs that it does not hold
        self.shape = (len(widths) + 1, *[2] * len(tokens))
        self.count, self.outside = math.prod(self.shape), math.prod(self.shape) - 1
        self.classes = torch.zeros(queries, keys, dtype=torch.int16)
        for width in widths:
            self.classes += ~window_mask(queries, keys, width)
        for name in tokens:
            self.classes.mul_(2).add_(~keep_mask(queries, keys, name))
        self._places = [
            (widths.index(width) + 1, *(int(set(KEEP[name]) <= set(KEEP[kept])) for name in tokens))
            for width in windows
            for kept in keep
        ]

    def beyond(self, table: np.ndarray) -> np.ndarray:
        """Sum a histogram over the levels and classes that each point and extra leave out.

        Parameters
        ----------
        table : ndarray
            Counts by level and class, ``(heads, points + 1, classes)``.

        Returns
        -------
        ndarray
            float64 ``(points, extras, heads)``.
        """
        cube = table.reshape(*table.shape[:2], *self.shape)
        for axis in range(1, cube.ndim):
            cube = np.flip(np.flip(cube, axis).cumsum(axis), axis)
        points = np.moveaxis(cube[:, 1:], (0, 1), (-1, -2))
        return np.stack([points[place] for place in self._places], axis=1)

    def highest(self, worst: np.ndarray) -> np.ndarray:
        """Return the highest value among the classes that each extra leaves out.

        Parameters
        ----------
        worst : ndarray
            int16 ``(classes, heads, rows)``; it is changed in place.

        Returns
        -------
        ndarray
            int16 ``(extras, heads, rows)``.
        """
        cube = worst.reshape(*self.shape, *worst.shape[1:])
        for axis in (np.moveaxis(cube, number, 0) for number in range(len(self.shape))):
            for place in range(len(axis) - 2, -1, -1):
                np.maximum(axis[place], axis[place + 1], out=axis[place])
        return np.stack([cube[place] for place in self._places])


extras_of = functools.lru_cache(maxsize=4)(Extras)
"""`Extras`, cached: examples of equal lengths share them."""


def offset_bins(valid: Tensor) -> Tensor:
    """Return the bin of each pair's distance, int16 ``(queries, keys)``; invalid pairs have `len(OFFSETS) + 1`."""
    queries, keys = valid.shape
    distance = (torch.arange(keys, dtype=torch.int32)[None] - torch.arange(queries, dtype=torch.int32)[:, None]).abs_()
    bins = torch.bucketize(distance, torch.tensor(OFFSETS, dtype=torch.int32), out_int32=True).to(torch.int16)
    return bins.to(valid.device).masked_fill_(~valid, len(OFFSETS) + 1)


def offset_names() -> list[str]:
    """Return the names of the bins of `OFFSETS`, such as `0`, `3-4` and `>1024`."""
    inner = [str(high) if high - low == 1 else f"{low + 1}-{high}" for low, high in pairwise((-1, *OFFSETS))]
    return [*inner, f">{OFFSETS[-1]}"]
