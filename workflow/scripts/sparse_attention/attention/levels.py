"""Compute the supports of all thresholds or budgets of a grid at once, as levels.

The supports of growing thresholds, or of growing budgets, are nested. The *level* of a pair is the index of the first
support that holds it: 0 for the smallest support, the number of supports when none holds it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

MAX_LEVELS = 255  # levels are uint8
Bound = float | Sequence[float] | Tensor
"""A number for all heads, or one number per head."""


def levels_of_thresholds(distances: Tensor, thresholds: Sequence[Bound]) -> Tensor:
    """Return for each distance the index of the first threshold above it; NaN is below no threshold.

    Parameters
    ----------
    distances : Tensor
        Any shape; with one threshold per head it is ``(heads, …)`` or ``(1, …)``.
    thresholds : sequence of (float, sequence of float or Tensor)
        Ascending; each a number, or one number per head. They are compared in the dtype of `distances`.

    Returns
    -------
    Tensor
        uint8 of the shape of `distances`; ``(heads, …)`` with one threshold per head.

    Raises
    ------
    ValueError
        When there are no thresholds, or more than 255.
    """
    return _levels(distances, thresholds, np.less)


def levels_at_least(scores: Tensor, bounds: Sequence[Bound]) -> Tensor:
    """Return for each score the index of the first bound that it reaches.

    Parameters
    ----------
    scores : Tensor
        Any shape; with one bound per head it is ``(heads, …)`` or ``(1, …)``. NaN reaches no bound.
    bounds : sequence of (float, sequence of float or Tensor)
        Descending; each a number, or one number per head. They are compared in the dtype of `scores`.

    Returns
    -------
    Tensor
        uint8 of the shape of `scores`; ``(heads, …)`` with one bound per head.

    Raises
    ------
    ValueError
        When there are no bounds, or more than 255.
    """
    return _levels(scores, bounds, np.greater_equal)


def levels_of_budgets(scores: Tensor, budgets: Sequence[int]) -> Tensor:
    """Return for each score the index of the first budget that its rank in its row fits in.

    Of equal scores, the one with the lower index ranks higher.

    Parameters
    ----------
    scores : Tensor
        Floating point ``(…, keys)``, -inf for keys that may not be chosen; without NaN.
    budgets : sequence of int
        Ascending numbers of keys, at least 0.

    Returns
    -------
    Tensor
        uint8 of the shape of `scores`, `len(budgets)` where a score is -inf.

    Raises
    ------
    ValueError
        When there are no budgets, or more than 255.
    """
    _check_number(budgets)
    keys = scores.shape[-1]
    ordered = ascending(scores)
    levels = torch.full(scores.shape, len(budgets), dtype=torch.uint8, device=scores.device)
    tied = torch.zeros(scores.shape[:-1], dtype=torch.bool, device=scores.device)
    for budget in budgets:
        if budget == 0:
            continue
        least = ordered[..., max(keys - budget, 0), None]
        # at least the lowest finite number, so that a score of -inf never counts
        _subtract(levels, scores, least.clamp(min=torch.finfo(scores.dtype).min), np.greater_equal)
        if budget < keys:
            tied |= (ordered[..., keys - budget - 1] == least[..., 0]) & ~least[..., 0].isneginf()
    if tied.any():
        levels[tied] = _levels_of_rows(scores[tied], budgets)
    return levels


def ascending(scores: Tensor) -> Tensor:
    """Sort ``(…, keys)`` along the last axis; on a CPU with numpy, which is several times faster than torch."""
    return scores.sort(dim=-1).values if scores.is_cuda else torch.from_numpy(np.sort(scores.numpy(), axis=-1))


def _levels_of_rows(rows: Tensor, budgets: Sequence[int]) -> Tensor:
    """Return the levels of ``(rows, keys)`` by a stable sort: slower than comparing, but right about ties."""
    order = rows.argsort(dim=-1, descending=True, stable=True)
    by_rank = torch.bucketize(
        torch.arange(rows.shape[1], device=rows.device), torch.tensor(budgets, device=rows.device), right=True
    )
    levels = torch.empty_like(rows, dtype=torch.uint8).scatter_(-1, order, by_rank.to(torch.uint8).expand_as(order))
    return levels.masked_fill_(rows.isneginf(), len(budgets))


def _levels(values: Tensor, bounds: Sequence[Bound], compare: np.ufunc) -> Tensor:
    """Start at the number of bounds and subtract 1 for each that holds; none holds for NaN, so no support keeps it."""
    _check_number(bounds)
    tensors = [torch.as_tensor(bound, dtype=values.dtype, device=values.device) for bound in bounds]
    aligned = [bound.view(-1, *[1] * (values.dim() - 1)) if bound.dim() else bound for bound in tensors]
    shape = torch.broadcast_shapes(values.shape, *(bound.shape for bound in aligned))
    levels = torch.full(shape, len(bounds), dtype=torch.uint8, device=values.device)
    for bound in aligned:
        _subtract(levels, values, bound, compare)
    return levels


def _subtract(levels: Tensor, values: Tensor, bound: Tensor, compare: np.ufunc) -> None:
    """Subtract 1 from the levels where a comparison holds; on a CPU with numpy, several times faster than torch."""
    if levels.is_cuda:
        levels -= (torch.lt(values, bound) if compare is np.less else torch.ge(values, bound)).to(torch.uint8)
    else:
        counts = levels.numpy()
        np.subtract(counts, compare(values.numpy(), bound.numpy()).view(np.uint8), out=counts)


def _check_number(values: Sequence[Bound]) -> None:
    if not 0 < len(values) <= MAX_LEVELS:
        raise ValueError(f"{len(values)} values of one setting; allowed: 1 to {MAX_LEVELS}")
