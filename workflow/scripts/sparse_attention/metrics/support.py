"""How a predicted support compares with the gold support, per example and head, for many windows at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from sparse_attention.attention.masks import keep_mask, window_mask

if TYPE_CHECKING:
    from sparse_attention.attention.support import Gold

METRICS = ("sparsity", "gold_sparsity", "recall", "mass_recall", "precision", "exactness", "edges")


class SupportMetrics:
    """The metrics of one example's predicted supports M against its gold support G, among its valid pairs V.

    Each is one number per head:

    - `edges` |M∩V|, `sparsity` 1 - |M∩V| / |V|, `gold_sparsity` 1 - |G| / |V|;
    - `recall` |M∩G| / |G|, over pairs; `precision` |M∩G| / |M∩V|;
    - `mass_recall`: the same share of the gold attention probability, ΣA·M / ΣA;
    - `exactness`: the share of queries whose whole gold support lies in M.

    What is missed or wrong of nothing is nothing: recalls are 1 where the gold support is empty, precision is 1 where
    the predicted support is empty, sparsities are 1 where no pair is valid, and a query without gold keys is exact.

    Parameters
    ----------
    gold : Gold
        Gold support `(heads, queries, keys)` and its probabilities.
    valid : Tensor
        Bool `(queries, keys)`.
    windows, keep : sequences
        Widths of the windows, and kept tokens (`none`, `cls`, `cls+last`), that are added to each support: every
        combination is one *extra*, the first slowest.
    """

    def __init__(
        self, gold: Gold, valid: Tensor, windows: Sequence[int] = (0,), keep: Sequence[str] = ("none",)
    ) -> None:
        queries, keys = valid.shape
        extras = np.stack(
            [(window_mask(queries, keys, w) | keep_mask(queries, keys, k)).numpy() for w in windows for k in keep]
        )
        self._valid = _pack(valid.numpy())
        self._extras = _pack(extras) & self._valid
        self._pairs = _count(self._valid)
        self._gold = _pack(gold.support.numpy())
        self._gold_pairs = _count(self._gold)

        flat = np.flatnonzero(gold.support.numpy())
        self._flat = flat
        self._extra_hits = extras.reshape(len(extras), -1)[:, flat % valid.numel()]
        self._probabilities = gold.probabilities.numpy().astype(np.float64)
        ends = np.cumsum(self._gold_pairs, dtype=np.int64)
        self._heads = [slice(end - pairs, end) for end, pairs in zip(ends, self._gold_pairs.astype(int), strict=True)]
        self._mass = np.array([self._probabilities[head].sum() for head in self._heads])

    def __call__(self, support: Tensor) -> np.ndarray:
        """Return the metrics of `support`, bool `(heads, queries, keys)`, as float64 `(METRICS, extras, heads)`."""
        predicted = support.numpy()
        kept = (_pack(predicted) & self._valid) | self._extras[:, None]
        missed = self._gold & ~kept
        edges = _count(kept)
        hits = self._gold_pairs - _count(missed)
        values = {
            "edges": edges,
            "sparsity": 1 - _share(edges, self._pairs, empty=0),
            "gold_sparsity": np.broadcast_to(1 - _share(self._gold_pairs, self._pairs, empty=0), edges.shape),
            "recall": _share(hits, self._gold_pairs),
            "precision": _share(hits, edges),
            "mass_recall": 1 - _share(self._missed_mass(predicted), self._mass, empty=0),
            "exactness": (~missed.any(-1)).mean(-1),
        }
        return np.stack([values[name] for name in METRICS])

    def _missed_mass(self, predicted: np.ndarray) -> np.ndarray:
        missed = ~(predicted.reshape(-1)[self._flat] | self._extra_hits)
        return np.stack([missed[:, head] @ self._probabilities[head] for head in self._heads], axis=-1)


def _pack(mask: np.ndarray) -> np.ndarray:
    """Return the bits of a mask's rows in 64-bit words, so that pairs can be compared and counted 64 at a time."""
    packed = np.packbits(mask, axis=-1)
    words = np.zeros((*packed.shape[:-1], -(-packed.shape[-1] // 8) * 8), np.uint8)
    words[..., : packed.shape[-1]] = packed
    return words.view(np.uint64)


def _count(words: np.ndarray) -> np.ndarray:
    """Return the number of pairs, float64, exact, of packed masks over their last two axes."""
    return np.bitwise_count(words).sum((-1, -2), dtype=np.int64).astype(np.float64)


def _share(part: np.ndarray, whole: np.ndarray, empty: float = 1.0) -> np.ndarray:
    """Return part / whole, and `empty` where the whole is nothing."""
    return np.where(whole > 0, part / np.maximum(whole, 1e-300), empty)
