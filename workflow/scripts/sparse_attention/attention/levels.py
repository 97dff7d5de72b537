"""From distances to thresholds and from scores to ranks, for all thresholds or budgets of a grid at once.

A *level* says which of several nested supports is the first to hold a pair: 0 the smallest, their number for none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

MOST = 255  # levels are uint8
Bound = float | Sequence[float] | Tensor
"""One for all heads, or one per head."""


def levels_of_thresholds(distances: Tensor, thresholds: Sequence[Bound]) -> Tensor:
    """Return for each distance the first threshold above it; a distance that is NaN is below none.

    Parameters
    ----------
    distances : Tensor
        Any shape; with thresholds per head ``(heads, …)`` or ``(1, …)``.
    thresholds : sequence
        Ascending, each a number or a list with one number per head; compared in the dtype of `distances`.

    Returns
    -------
    Tensor
        uint8 of the shape of `distances`, ``(heads, …)`` with thresholds per head.
    """
    return _counted_down(distances, thresholds, np.less)


def levels_at_least(scores: Tensor, bounds: Sequence[Bound]) -> Tensor:
    """Return for each score the first bound that it reaches; `bounds` descend. Otherwise as `levels_of_thresholds`."""
    return _counted_down(scores, bounds, np.greater_equal)


def levels_of_budgets(scores: Tensor, budgets: Sequence[int]) -> Tensor:
    """Return for each score the first budget that reaches its rank in its row; of equal scores the first ranks higher.

    Parameters
    ----------
    scores : Tensor
        Floating point ``(…, keys)``, -inf for what may not be chosen; no NaN.
    budgets : sequence of int
        Ascending numbers of keys, at least 0.

    Returns
    -------
    Tensor
        uint8 of the shape of `scores`, `len(budgets)` where a score is -inf.
    """
    _check(budgets)
    keys = scores.shape[-1]
    ordered = ascending(scores)
    levels = torch.full(scores.shape, len(budgets), dtype=torch.uint8, device=scores.device)
    tied = torch.zeros(scores.shape[:-1], dtype=torch.bool, device=scores.device)
    for budget in budgets:
        if budget == 0:
            continue
        least = ordered[..., max(keys - budget, 0), None]
        # not below the lowest number: what is -inf may not be chosen
        _subtract(levels, scores, least.clamp(min=torch.finfo(scores.dtype).min), np.greater_equal)
        if budget < keys:
            tied |= (ordered[..., keys - budget - 1] == least[..., 0]) & ~least[..., 0].isneginf()
    if tied.any():
        levels[tied] = _levels_of_rows(scores[tied], budgets)
    return levels


def ascending(scores: Tensor) -> Tensor:
    """Sort along the last axis; numpy is several times faster than torch here."""
    return scores.sort(dim=-1).values if scores.is_cuda else torch.from_numpy(np.sort(scores.numpy(), axis=-1))


def _levels_of_rows(rows: Tensor, budgets: Sequence[int]) -> Tensor:
    """Rank rows ``(rows, keys)`` by a stable sort: slower, and right about ties."""
    order = rows.argsort(dim=-1, descending=True, stable=True)
    by_rank = torch.bucketize(
        torch.arange(rows.shape[1], device=rows.device), torch.tensor(budgets, device=rows.device), right=True
    )
    levels = torch.empty_like(rows, dtype=torch.uint8).scatter_(-1, order, by_rank.to(torch.uint8).expand_as(order))
    return levels.masked_fill_(rows.isneginf(), len(budgets))


def _counted_down(values: Tensor, bounds: Sequence[Bound], compare: np.ufunc) -> Tensor:
    """Start at the number of bounds and subtract those that hold, so that NaN, for which none does, is kept nowhere."""
    _check(bounds)
    tensors = [torch.as_tensor(bound, dtype=values.dtype, device=values.device) for bound in bounds]
    aligned = [bound.view(-1, *[1] * (values.dim() - 1)) if bound.dim() else bound for bound in tensors]
    shape = torch.broadcast_shapes(values.shape, *(bound.shape for bound in aligned))
    levels = torch.full(shape, len(bounds), dtype=torch.uint8, device=values.device)
    for bound in aligned:
        _subtract(levels, values, bound, compare)
    return levels


def _subtract(levels: Tensor, values: Tensor, bound: Tensor, compare: np.ufunc) -> None:
    """Subtract 1 from the levels where a comparison holds; numpy is several times faster than torch here."""
    if levels.is_cuda:
        levels -= (torch.lt(values, bound) if compare is np.less else torch.ge(values, bound)).to(torch.uint8)
    else:
        counts = levels.numpy()
        np.subtract(counts, compare(values.numpy(), bound.numpy()).view(np.uint8), out=counts)


def _check(values: Sequence[Bound]) -> None:
    if not 0 < len(values) <= MOST:
        raise ValueError(f"{len(values)} values of one setting; allowed: 1 to {MOST}")
