"""Entmax attention over block lists that proves for which queries it equals attention over all keys.

The threshold of some of a query's keys is at most that of all of them. So when every skipped key scores at most the
threshold of the kept ones, no skipped key is in the support of the full entmax, and both give the same probabilities.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from sparse_attention.block_sparse.bounds import CHUNK, Bounds, in_blocks
from sparse_attention.block_sparse.dispatch import attend
from sparse_attention.block_sparse.lists import BlockLists
from sparse_attention.block_sparse.visible import HIDDEN, Visible

BOUNDS = ("blocks", "low_rank", "scores")
RANK = 8  # dimensions that `low_rank` counts exactly
SMALLEST = 2.0**-126  # numbers below are rounded to 0 by some kernels
LARGEST = 1e29  # scores from here on are hidden ones for some kernels


class Work(NamedTuple):
    """What a proof took.

    Attributes
    ----------
    kept_before, kept_after : float
        Share of the pairs of blocks that are kept in the given and in the returned lists.
    rounds : int
        How often blocks were added.
    certified_before : float
        Share of queries that were certified with the given lists.
    """

    kept_before: float
    kept_after: float
    rounds: int
    certified_before: float


class Certified(NamedTuple):
    """What attention gives, and where it is exact.

    Attributes
    ----------
    output, thresholds : Tensor
        As of `dispatch.attend`.
    certified : Tensor
        Bool ``(batch, heads, queries)``: True only where attention over all visible keys has the same support, so that
        the outputs differ by rounding only. A query without any kept key is certified only when it sees no key.
    lists : BlockLists
        What was attended to.
    work : Work
    """

    output: Tensor
    thresholds: Tensor
    certified: Tensor
    lists: BlockLists
    work: Work


def attend_certified(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lists: BlockLists,
    alpha: float = 1.5,
    visible: Visible | None = None,
    scaling: float | None = None,
    kernels: str | None = None,
    repair: bool = False,
    bound: str = "blocks",
) -> Certified:
    """Attend to kept blocks, and say for which queries the result is that of attention to all keys.

    Certified rows have the gradients of full attention, too. Half precision is computed in float32.

    Parameters
    ----------
    query, key, value, lists, alpha, visible, scaling, kernels
        As of `dispatch.attend`; alpha is above 1.
    repair : bool
        Whether to add blocks that are not proven for a query, for its whole block of queries, and attend again until
        all queries are certified: first the one of each query that has the highest bound, then all that are left.
    bound : str
        Of the scores of skipped keys, one of `BOUNDS`. ``blocks``: one bound for each query and key block. The others
        look closer where that fails: ``low_rank`` at pairs, by the most important dimensions of queries and keys and
        the norms of the rest, ``scores`` at the scores themselves.

    Raises
    ------
    ValueError
        For softmax (alpha 1), where every key counts; also when an argument is out of range or shapes do not go
        together.
    """
    if alpha == 1:
        raise ValueError("alpha: 1; a softmax has no certificate, because every skipped key counts; allowed: above 1")
    if bound not in BOUNDS:
        raise ValueError(f"bound: {bound!r}; allowed: {', '.join(BOUNDS)}")
    if visible is None:
        visible = Visible.everything(query.shape[0], query.shape[2], key.shape[2], device=str(query.device))
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    dtype = query.dtype
    if dtype != torch.float64:
        query, key, value = query.float(), key.float(), value.float()
    attended = attend(query, key, value, lists, alpha, visible, scaling, kernels)
    proof = _Proof(query.detach(), key.detach(), lists, alpha, visible, scaling, bound)
    certified = proof.certify(lists, attended.thresholds)
    before, certified_before, rounds = lists.kept, float(certified.double().mean()), 0
    while repair and not bool(certified.all()):
        # the highest scores raise the threshold most: with them, many other blocks need not be added
        lists, rounds = proof.repaired(lists, worst=rounds == 0), rounds + 1
        attended = attend(query, key, value, lists, alpha, visible, scaling, kernels)
        certified = proof.certify(lists, attended.thresholds)
    work = Work(before, lists.kept, rounds, certified_before)
    return Certified(attended.output.to(dtype), attended.thresholds, certified, lists, work)


@torch.no_grad()
def threshold_error(
    query: Tensor, key: Tensor, real: Tensor, thresholds: Tensor, alpha: float, scaling: float
) -> Tensor:
    """Return by how much thresholds of `dispatch.attend` may exceed the true ones, float64 ``(batch, heads, queries)``.

    With `u` the rounding unit of the dtype, and all scores times `alpha - 1`:

    - A score is a product of dim terms, with a few more roundings for the scaling: it is wrong by at most
      `(2 dim + 8) u |q| |k|` times the scaling. GPUs may round the entries to 11 bits first. The rounding of `alpha` is
      `u alpha / (alpha - 1)` of `alpha - 1`. A threshold moves by no more than the score that moves most.
    - Newton's method on the norm of `[scores - tau]_+` comes from below. The norm falls by at least as much as `tau`
      rises, so that the threshold is passed by at most some four times the error of the norm, of which a sum of n
      positive terms makes `n u`, and powers with the exponent `p = 1 / (alpha - 1)` some `(p + 32) u`. An exponent that
      is wrong by a share of `e` changes the sum by at most `e log(n)`, because the entropy of the probabilities is at
      most `log(n)`.
    - The threshold is rounded twice: when the highest score is taken off, and when it is added again.
    - Numbers below `SMALLEST` may vanish, in entries and in products.

    Infinity where scores may be out of range.

    Parameters
    ----------
    query, key : Tensor
        ``(batch, heads, queries or keys, head_dim)``, float32 or float64; not yet scaled.
    real : Tensor
        Bool ``(batch, heads or 1, keys)``: keys that count.
    thresholds : Tensor
        ``(batch, heads, queries)``.
    alpha, scaling : float
    """
    unit = torch.finfo(query.dtype).eps / 2
    entries = 0.0 if query.device.type == "cpu" or query.dtype == torch.float64 else 2.0**-10
    dim, keys, power = query.shape[-1], key.shape[2], 1 / (alpha - 1)
    scale = abs(scaling) * (alpha - 1)
    own = query.double().norm(dim=-1)
    furthest = key.double().norm(dim=-1).masked_fill(~real, 0.0).amax(-1, keepdim=True)
    of_alpha = 2 * unit * alpha / (alpha - 1)
    of_scores = (2 * dim + 8) * unit + 2 * entries + of_alpha
    solver = 4 * (keys + power + 32) * unit + 4 * of_alpha * math.log(keys + 1)
    vanished = SMALLEST * (dim + dim**0.5 * (furthest * max(1.0, scale) + own * scale))
    error = of_scores * scale * own * furthest + solver + 4 * unit * thresholds.double().abs() + vanished
    in_range = (abs(scaling) * own * furthest.clamp_min(1) < LARGEST) & (own < LARGEST)
    return error.where(in_range, torch.inf)


class _Proof:
    """Bounds of all skipped scores, and the limits that they are held against while blocks are added."""

    @torch.no_grad()
    def __init__(
        self, query: Tensor, key: Tensor, lists: BlockLists, alpha: float, visible: Visible, scaling: float, bound: str
    ) -> None:
        key = key.repeat_interleave(query.shape[1] // key.shape[1], 1)
        self.given = query, key, visible.position != HIDDEN
        self.alpha, self.scaling, self.bound, self.size = alpha, scaling, bound, lists.query_block
        scaled = query.double() * (scaling * (alpha - 1))
        self.bounds = Bounds(scaled, key.double(), self.given[2], lists.query_block, lists.key_block)
        shared = max(bounds.shape[1] for bounds in (visible.first, visible.last, visible.position))
        self.first, self.last, self.position = (
            # filled up with HIDDEN: a query up to there sees nothing
            in_blocks((bounds - HIDDEN).expand(-1, shared, -1)[..., None], size)[..., 0] + HIDDEN
            for bounds, size in (
                (visible.first, self.size),
                (visible.last, self.size),
                (visible.position, lists.key_block),
            )
        )
        self.highest = self._of_blocks(lists.key_blocks)
        self.limits = torch.full_like(self.highest[..., 0], -torch.inf)
        self.closer = torch.zeros_like(self.highest[:, :, :, 0], dtype=torch.bool)

    @torch.no_grad()
    def certify(self, lists: BlockLists, thresholds: Tensor) -> Tensor:
        """Look for unproven blocks, given thresholds of attention over the lists; return which queries have none."""
        safe = thresholds.double() - threshold_error(*self.given, thresholds, self.alpha, self.scaling)
        safe = in_blocks(safe[..., None], self.size)[..., 0] - self.bounds.error()
        # thresholds only rise when blocks are added; without any kept key, or out of range, there is NaN or -inf here
        self.limits = torch.fmax(self.limits, safe)
        self._find_unproven(lists)
        if self.bound != "blocks":
            self._look_closer()
            self._find_unproven(lists)
        return ~self.unproven.any(-1).flatten(2)[..., : lists.queries]

    @torch.no_grad()
    def repaired(self, lists: BlockLists, worst: bool) -> BlockLists:
        """Return the lists with unproven blocks: of each query all, or only the one with the highest bound."""
        added = self.unproven
        if worst:
            bounds = self.highest.nan_to_num(torch.inf).masked_fill(~added, -torch.inf)
            added = torch.zeros_like(added).scatter_(-1, bounds.argmax(-1, keepdim=True), True) & added
        blocks = lists.blocks() | added.any(3)
        return BlockLists.of(blocks, lists.queries, lists.keys, lists.query_block, lists.key_block)

    def _of_blocks(self, key_blocks: int) -> Tensor:
        """Return the bound of each query and block of keys, ``(…, query_block, key_blocks)``; -inf if none is seen."""
        highest = self.bounds.query.new_empty(*self.bounds.query.shape[:4], key_blocks)
        ordered = self.position.sort(-1).values.contiguous()
        step = max(1, CHUNK // max(1, highest[:, :, :1].numel()))
        for start in range(0, highest.shape[2], step):
            rows = slice(start, start + step)
            seen = _sees_some(ordered, self.first[:, :, rows], self.last[:, :, rows])
            highest[:, :, rows] = self.bounds.of_blocks(rows).masked_fill(~seen, -torch.inf)
        return highest

    def _find_unproven(self, lists: BlockLists) -> None:
        above = ~(self.highest <= self.limits[..., None]) & (self.highest != -torch.inf)  # also where one is NaN
        self.unproven = above & ~lists.blocks()[:, :, :, None]

    def _look_closer(self) -> None:
        """Bound the scores of single pairs in blocks that are not proven."""
        pairs = self.size * self.position.shape[-1]
        places = (self.unproven.any(3) & ~self.closer).nonzero(as_tuple=True)
        self.closer[places] = True
        for part in zip(*(place.split(max(1, CHUNK // pairs)) for place in places), strict=True):
            batch, head, row, column = part
            own = head if self.first.shape[1] > 1 else torch.zeros_like(head)
            first, last = self.first[batch, own, row, :, None], self.last[batch, own, row, :, None]
            position = self.position[batch, own, column][:, None]
            bounds = self.bounds.of_pairs(part, None if self.bound == "scores" else RANK)
            bounds = bounds.masked_fill((position < first) | (position > last), -torch.inf).amax(-1)
            self.highest[batch, head, row, :, column] = bounds.minimum(self.highest[batch, head, row, :, column])


def _sees_some(ordered: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """Return which queries see a key of a block, bool ``(batch, heads or 1, rows, query_block, key_blocks)``.

    Parameters
    ----------
    ordered : Tensor
        The positions of each block in ascending order, ``(batch, heads or 1, key_blocks, key_block)``.
    first, last : Tensor
        ``(batch, heads or 1, rows, query_block)``.
    """
    below, up_to = (
        torch.searchsorted(
            ordered, bound.flatten(2)[:, :, None].expand(-1, -1, ordered.shape[2], -1).contiguous(), right=right
        )
        for bound, right in ((first, False), (last, True))
    )
    return (up_to > below).mT.unflatten(2, first.shape[2:])
