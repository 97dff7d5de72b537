"""Exact alpha-entmax for any alpha in (1, 2]: a sparse softmax (Peters et al. 2019), solved for its threshold.

The probabilities are `p = relu((alpha - 1) * scores - tau) ** k` with `k = 1 / (alpha - 1)`; the threshold `tau` makes
each row sum to one. The published packages sort the scores (alpha 1.5 and 2) or bisect (other alphas). Here, Newton's
method solves `norm_k(relu((alpha - 1) * scores - tau)) = 1`: the k-norm is a convex, decreasing function of `tau`.
Starting from `max((alpha - 1) * scores) - 1`, `tau` rises monotonically and needs about five steps.

Rows are computed in pieces that fit the processor's cache. No step depends on other rows, so the result of a row does
not depend on its batch. For alpha 2 the last step is the closed form on the support; for alpha 1.5 it equals the closed
form up to rounding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

PIECE = 2**19  # elements, 2 MB of float32: fastest on one core and on two; 2**17 to 2**22 are within a factor of two
PIECE_ON_DEVICE = 2**26
MAX_STEPS = 100


@torch.no_grad()
def threshold(scores: Tensor, alpha: float, valid: Tensor | None = None, at_least: Tensor | None = None) -> Tensor:
    """Find the entmax threshold of every row, without gradient.

    Parameters
    ----------
    scores : Tensor
        ``(…, keys)``, any real values; -inf is masked.
    alpha : float
        In (1, 2].
    valid : Tensor, optional
        Bool, broadcastable to `scores`; False is masked.
    at_least : Tensor, optional
        ``(…, 1)``: a lower bound of the result, from which the search starts. A bound close to the threshold saves
        steps. Where the threshold lies below its bound, the bound is returned.

    Returns
    -------
    Tensor
        ``(…, 1)``, in the units of `(alpha - 1) * scores`; for half precision it is computed and returned in float32.
        Rows without a valid key get a finite value. Where scores are huge, use `probabilities` instead: it computes
        relative to the maximum of the row.

    Raises
    ------
    ValueError
        When alpha is not in (1, 2].
    """
    _check_alpha(alpha)
    rows, masks = _rows(scores), _mask_rows(valid, scores)
    starts = None if at_least is None else _rows(at_least)
    result = torch.empty(rows.shape[0], 1, dtype=_working_dtype(scores), device=scores.device)
    for piece in _pieces(rows):
        shifted, top = _shifted(rows[piece], alpha, None if masks is None else masks[piece])
        start = None if starts is None else starts[piece] - top
        torch.add(_solve(shifted, alpha, start)[0], top, out=result[piece])
    return result.reshape(*scores.shape[:-1], 1)


@torch.no_grad()
def probabilities(scores: Tensor, alpha: float, valid: Tensor | None = None) -> Tensor:
    """Return the entmax probabilities over the last axis, without gradient; rows without a valid key are zero.

    Parameters
    ----------
    scores : Tensor
        ``(…, keys)``, any real values; -inf is masked.
    alpha : float
        In (1, 2].
    valid : Tensor, optional
        Bool, broadcastable to `scores`; False is masked.

    Returns
    -------
    Tensor
        Of the shape and dtype of `scores`; half precision is computed in float32.

    Raises
    ------
    ValueError
        When alpha is not in (1, 2].
    """
    _check_alpha(alpha)
    rows, masks = _rows(scores), _mask_rows(valid, scores)
    result = torch.empty_like(rows, memory_format=torch.contiguous_format)
    for piece in _pieces(rows):
        shifted, _ = _shifted(rows[piece], alpha, None if masks is None else masks[piece])
        _, excess = _solve(shifted, alpha)
        result[piece] = _power(excess, 1 / (alpha - 1))
    return result.reshape(scores.shape)


def entmax(scores: Tensor, alpha: float, valid: Tensor | None = None) -> Tensor:
    """Return the entmax probabilities over the last axis, with gradient; arguments as for `probabilities`."""
    result: Tensor = _Entmax.apply(scores, alpha, valid)
    return result


class _Entmax(torch.autograd.Function):
    """Entmax with its gradient, which needs the probabilities only (Peters et al. 2019, proposition 2)."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, alpha: float, valid: Tensor | None) -> Tensor:
        result = probabilities(scores, alpha, valid)
        ctx.save_for_backward(result)
        ctx.alpha = alpha
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (saved,) = ctx.saved_tensors
        rows, incoming = _rows(saved), _rows(gradients[0])
        result = torch.empty_like(rows)
        for piece in _pieces(rows):
            slope = _power(rows[piece].to(_working_dtype(rows)), 2 - ctx.alpha)
            outgoing = slope * incoming[piece]
            total = slope.sum(-1, keepdim=True).clamp_min_(torch.finfo(slope.dtype).tiny)
            mean = outgoing.sum(-1, keepdim=True).div_(total)
            result[piece] = outgoing.addcmul_(slope, mean, value=-1)
        return result.reshape(saved.shape), None, None


def _solve(shifted: Tensor, alpha: float, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return `tau` and `relu(shifted - tau)` of rows whose maximum is 0; `tau` is at least `start`."""
    k = 1 / (alpha - 1)
    precision = torch.finfo(shifted.dtype)
    tau = shifted.new_full((shifted.shape[0], 1), -1.0) if start is None else start.clamp(min=-1)
    excess = torch.empty_like(shifted)
    for _ in range(MAX_STEPS):
        torch.sub(shifted, tau, out=excess).relu_()
        norm, slope = _norm_and_slope(excess, k)
        step = (norm - 1).div_(slope.clamp_min_(precision.tiny))
        # A step below rounding is not taken: a finished row stays as it is while others go on.
        step.masked_fill_(step <= 4 * precision.eps, 0.0)
        if not (step > 0).any():
            break
        tau += step
    return tau, excess


def _norm_and_slope(excess: Tensor, k: float) -> tuple[Tensor, Tensor]:
    """Return the k-norm of every row and its negated derivative by `tau`, `sum(excess^(k-1)) / norm^(k-1)`."""
    if k == 1:
        return excess.sum(-1, keepdim=True), excess.sign().sum(-1, keepdim=True)
    tiny = torch.finfo(excess.dtype).tiny
    if k == 2:
        norm = torch.linalg.vector_norm(excess, dim=-1, keepdim=True).clamp_min_(tiny)
        return norm, excess.sum(-1, keepdim=True).div_(norm)
    # norm and slope share one power; left of the solution the sum is at least 1, so it does not vanish
    powers = excess.pow(k - 1)
    total = torch.linalg.vecdot(powers, excess).unsqueeze(-1).clamp_min_(tiny)
    norm = total.pow(1 / k)
    return norm, powers.sum(-1, keepdim=True).mul_(norm).div_(total)


def _power(values: Tensor, exponent: float) -> Tensor:
    """Raise non-negative values to `exponent`, with `0 ** 0 = 0`."""
    if exponent == 0:
        return (values > 0).to(values.dtype)
    if exponent == 0.5:
        # seven times faster on a CPU than sqrt, which is slow on zeros
        return values.clamp_min(torch.finfo(values.dtype).tiny).rsqrt_().mul_(values)
    return values.square() if exponent == 2 else values.pow(exponent)


def _shifted(scores: Tensor, alpha: float, valid: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return `(alpha - 1) * scores` minus the maximum of its row, and that maximum (finite in fully masked rows)."""
    work = scores.to(_working_dtype(scores)) * (alpha - 1)
    if valid is not None:
        work.masked_fill_(~valid, -torch.inf)
    top = work.amax(-1, keepdim=True).clamp_min_(torch.finfo(work.dtype).min)
    return work.sub_(top), top


def _working_dtype(tensor: Tensor) -> torch.dtype:
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


def _rows(tensor: Tensor) -> Tensor:
    return tensor.reshape(-1, tensor.shape[-1])


def _mask_rows(valid: Tensor | None, scores: Tensor) -> Tensor | None:
    return None if valid is None else _rows(valid.expand(scores.shape))


def _pieces(rows: Tensor) -> list[slice]:
    elements = PIECE if rows.device.type == "cpu" else PIECE_ON_DEVICE
    size = max(1, elements // max(rows.shape[1], 1))
    return [slice(start, start + size) for start in range(0, rows.shape[0], size)]


def _check_alpha(alpha: float) -> None:
    if not 1 < alpha <= 2:
        raise ValueError(f"alpha: {alpha} is not in (1, 2]")
