"""Count predicted and gold pairs, from which metrics are computed, for all points and extras in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from sparse_attention.attention.supports import Support
from sparse_attention.evaluation.frame import Frame

if TYPE_CHECKING:
    from sparse_attention.qk.gold import Gold

# Probabilities are summed as whole multiples of this, so that sums are exact and do not depend on the order.
UNIT = 2.0**-40


@dataclass(frozen=True)
class GoldPairs:
    """The pairs of a gold support, sorted by head.

    Attributes
    ----------
    head, row, query, key : ndarray
        int64 ``(pairs,)``. `row` is the query of the pair, for exactness. `query` and `key` are the position of the
        pair in the predicted support; when that is by block of tokens, several rows have the same `query`.
    probability : ndarray
        float64 ``(pairs,)``: gold probability of each pair.
    heads, rows : int
        Numbers of heads and of rows.
    """

    head: np.ndarray
    row: np.ndarray
    query: np.ndarray
    key: np.ndarray
    probability: np.ndarray
    heads: int
    rows: int

    @classmethod
    def of(cls, gold: Gold, block_size: int = 1) -> GoldPairs:
        """List the pairs of a gold support by token, for predicted supports by blocks of `block_size` tokens."""
        heads, rows, keys = gold.support.shape
        head_row, key = np.divmod(np.flatnonzero(gold.support.numpy()), keys)
        head, row = np.divmod(head_row, rows)
        cells = row // block_size, key // block_size
        return cls(head, row, *cells, gold.probabilities.numpy().astype(np.float64), heads, rows)

    def part(self, heads: slice) -> GoldPairs:
        """Return the pairs of a slice of heads."""
        pairs = slice(*np.searchsorted(self.head, (heads.start, heads.stop)))
        row, query, key, probability = (values[pairs] for values in (self.row, self.query, self.key, self.probability))
        head, count = self.head[pairs] - heads.start, heads.stop - heads.start
        return GoldPairs(head, row, query, key, probability, count, self.rows)


@dataclass(frozen=True)
class Counts:
    """Counts of one example: predicted supports M, the gold support G and the valid pairs V.

    An *extra* is a combination of a window and kept tokens, whose pairs are added to a predicted support. Arrays about
    predicted supports are ``(points, extras, heads)``, those about the gold support ``(heads,)``; all are float64 or
    int64.

    Attributes
    ----------
    valid_pairs : float
        |V|, the same for all heads.
    gold_pairs, mass : ndarray
        ``(heads,)``: |G|, and the sum of gold probabilities as a multiple of `UNIT`.
    edges, missed_pairs : ndarray
        ``(points, extras, heads)``: |M∩V| and |G−M|.
    missed_mass : ndarray
        ``(points, extras, heads)``: the part of `mass` on pairs outside M.
    exact_rows : ndarray
        ``(points, extras, heads)``: number of queries whose whole gold support is in M.
    rows : int
        Number of queries.
    computed : ndarray
        ``(points, extras, heads)``: number of computed scores, plus the cost of predicting in scores; NaN where that is
        unknown.
    """

    valid_pairs: float
    gold_pairs: np.ndarray
    mass: np.ndarray
    edges: np.ndarray
    missed_pairs: np.ndarray
    missed_mass: np.ndarray
    exact_rows: np.ndarray
    rows: int
    computed: np.ndarray

    @property
    def hits(self) -> np.ndarray:
        """|M∩G|, ``(points, extras, heads)``."""
        return self.gold_pairs - self.missed_pairs


class SupportCounts:
    """Counter of the pairs of one example that predicted supports keep, and of the gold pairs that they miss.

    One histogram over pairs serves all points, windows and kept tokens. The *class* of a pair encodes the first window
    that holds it, and the kept tokens that hold it. Its *level* is the index of the first point that keeps it. The
    number of pairs that a point and an extra both leave out is a sum of the histogram over higher levels and classes.
    Exactness only needs the highest level in each query and class.

    Parameters
    ----------
    gold : GoldPairs
        The gold support.
    frame : Frame
        The valid pairs and extras of the same example.
    """

    def __init__(self, gold: GoldPairs, frame: Frame) -> None:
        self.frame, self.extras = frame, frame.extras
        self.heads, self.rows = gold.heads, gold.rows
        cells, device = frame.valid.numel(), frame.valid.device
        self._held = (torch.arange(gold.heads, device=device)[:, None] * cells + frame.held).reshape(-1)
        self._sort(gold, frame.valid)

    def _sort(self, gold: GoldPairs, valid: Tensor) -> None:
        """Sort the gold pairs by head, row and class, and find the start of each such group."""
        flat = gold.query * valid.shape[1] + gold.key
        classes = self.extras.classes.reshape(-1).numpy()[flat]
        group = (gold.head * gold.rows + gold.row) * self.extras.count + classes
        order = np.argsort(group, kind="stable")
        groups, self._starts = np.unique(group[order], return_index=True)
        # in the array of highest levels, the class is the first axis
        self._places = groups % self.extras.count * (gold.heads * gold.rows) + groups // self.extras.count
        self._classes, self._pair_heads = classes[order], gold.head[order]
        self._mass = np.round(gold.probability[order] / UNIT)
        self._flat = torch.from_numpy((gold.head * valid.numel() + flat)[order]).to(valid.device)

    def __call__(self, support: Support, cost: Any = float("nan")) -> tuple[Counts, np.ndarray]:
        """Count the supports of nested points.

        Parameters
        ----------
        support : Support
            The predicted supports of the heads of `gold`.
        cost : float or sequence of float
            Cost of predicting each point, in scores per head.

        Returns
        -------
        counts : Counts
            The counts of all points and extras.
        offsets : ndarray
            float64 ``(points, heads, len(OFFSETS) + 1)``: predicted pairs, without extras, by distance of query and
            key.
        """
        dense = support.histogram(self.frame.bins)
        gold = support.at(self._flat)
        missed_pairs, missed_mass, gold_pairs, mass = self._missed(gold, support.points)
        edges = self.frame.valid_pairs - self._left_out(support, dense)
        counts = Counts(
            valid_pairs=self.frame.valid_pairs,
            gold_pairs=gold_pairs,
            mass=mass,
            edges=edges,
            missed_pairs=missed_pairs,
            missed_mass=missed_mass,
            exact_rows=self._exact(gold, support.points),
            rows=self.rows,
            computed=self._computed(support, dense, edges, cost),
        )
        return counts, dense[:, :-1].cumsum(1).transpose(1, 0, 2)

    def _computed(self, support: Support, dense: np.ndarray, edges: np.ndarray, cost: Any) -> np.ndarray:
        """Return the number of computed scores plus the cost of predicting, ``(points, extras, heads)``.

        A pair that shares several buckets is computed once in each; extras add the pairs that are not in the support.
        """
        alone = dense[:, :-1].sum(-1).cumsum(1).transpose(1, 0)  # (points, heads)
        scores = alone
        if support.operations is not None:
            scores = support.operations.cpu().numpy()[None] * self.frame.pairs_per_cell
        predicting = np.broadcast_to(np.asarray(cost, dtype=np.float64), support.points)[:, None, None]
        return scores[:, None] + (edges - alone[:, None]) + predicting

    def gold_offsets(self) -> np.ndarray:
        """Count the gold pairs by distance of query and key, float64 ``(heads, len(OFFSETS) + 1)``."""
        width = self.frame.bins.count
        bins = self.frame.bins.codes.reshape(-1)[self._flat % self.frame.bins.codes.numel()].cpu().numpy()
        counts = np.bincount(self._pair_heads * width + bins, minlength=self.heads * width)
        return counts.reshape(self.heads, width).astype(np.float64)

    def _missed(self, levels: np.ndarray, points: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return number and mass of the gold pairs that points and extras leave out, then those of all gold pairs."""
        codes = (self._pair_heads * (points + 1) + levels) * self.extras.count + self._classes
        shape = (self.heads, points + 1, self.extras.count)
        size = self.heads * (points + 1) * self.extras.count
        pairs = np.bincount(codes, minlength=size).astype(np.float64).reshape(shape)
        mass = np.bincount(codes, self._mass, minlength=size).reshape(shape)
        return self.extras.beyond(pairs), self.extras.beyond(mass), pairs.sum((1, 2)), mass.sum((1, 2))

    def _left_out(self, support: Support, dense: np.ndarray) -> np.ndarray:
        """Count the valid pairs that points and extras leave out, ``(points, extras, heads)``."""
        levels = support.at(self._held).reshape(self.heads, -1)
        shape = (self.heads, support.points + 1, self.extras.count)
        codes = (np.arange(self.heads)[:, None] * shape[1] + levels) * shape[2] + self.frame.held_classes
        weights = (
            None
            if self.frame.held_weights is None
            else np.broadcast_to(self.frame.held_weights, codes.shape).reshape(-1)
        )
        table = np.bincount(codes.reshape(-1), weights, minlength=int(np.prod(shape))).astype(np.float64).reshape(shape)
        table[..., self.extras.outside] = dense.sum(-1) - table.sum(-1)
        return self.extras.beyond(table)

    def _exact(self, levels: np.ndarray, points: int) -> np.ndarray:
        """Count the rows whose gold pairs are all kept, ``(points, extras, heads)``."""
        worst = np.zeros(self.extras.count * self.heads * self.rows, np.int16)
        if len(levels):
            # one more than the level, so that a row without gold pairs has the lowest value, 0
            worst[self._places] = np.maximum.reduceat(levels, self._starts).astype(np.int16) + 1
        highest = self.extras.highest(worst.reshape(-1, self.heads, self.rows))
        codes = np.arange(len(highest) * self.heads).reshape(-1, self.heads, 1) * (points + 2) + highest
        counts = np.bincount(codes.reshape(-1), minlength=len(highest) * self.heads * (points + 2))
        exact = counts.reshape(-1, self.heads, points + 2).cumsum(-1)[..., 1:-1]
        return exact.transpose(2, 0, 1)
