"""Attention over tokens with original positions and keep weights, and the attention that each key received.

The first token of each sequence is CLS. A key's `log_keep` is added to its logits: 0 for a token that is kept, -inf for
padding and for a pruned token, log m for a soft keep weight m. Windows count original positions, so that hiding tokens
and removing them give the same result.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import dropout, scaled_dot_product_attention

from sparse_attention.pruning.bands import Band
from sparse_attention.pruning.cls_attention import GlobalRow

SLICE = 2**20
"""Number of probabilities computed at once on a CPU: 4 MiB, which fit its cache; more at once take longer each."""

BASE_2 = math.log2(math.e)
"""Factor that turns logits into logits to the base 2, since powers of 2 take half the time of powers of e."""


class Attended(NamedTuple):
    """Result of a layer's attention.

    Attributes
    ----------
    context : Tensor
        Values weighted by the probabilities, ``(batch, heads, n, head_dim)``.
    received : Tensor
        Attention that each key received, ``(batch, n)``: the sum over queries, weighted by their keep weights, averaged
        over heads. A query that is pruned or padding has weight 0.
    cls : Tensor
        Attention of CLS to each key, averaged over heads, ``(batch, n)``.
    """

    context: Tensor
    received: Tensor
    cls: Tensor


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    positions: Tensor,
    log_keep: Tensor,
    window: int | None = None,
    global_row: GlobalRow | None = None,
    drop: float = 0.0,
) -> Attended:
    """Compute full attention, or Longformer's local attention with CLS as its one global token.

    Parameters
    ----------
    query, key, value : Tensor
        ``(batch, heads, n, head_dim)``, not yet scaled.
    positions : Tensor
        Original positions, int64 ``(batch, n)``, strictly rising along the kept tokens of each sequence.
    log_keep : Tensor
        ``(batch, n)``, logarithms of the keep weights.
    window : int, optional
        Longformer's attention window: a query sees the keys at most `window / 2` positions away, and CLS once. None
        is full attention.
    global_row : GlobalRow, optional
        Replaces the attention of CLS.
    drop : float
        Dropout probability of the attention probabilities; `received` and `cls` are computed without dropout.

    Returns
    -------
    Attended
        Zeros for a query without any key.
    """
    if window is None:
        attended = full_attention(query, key, value, log_keep, drop)
    elif query.shape[2] >= banded_from(window):
        attended = banded_attention(query, key, value, positions, log_keep, window, drop)
    else:
        attended = local_attention(query, key, value, positions, log_keep, window, drop)
    return attended if global_row is None else _with_global_row(attended, global_row, log_keep)


def banded_from(window: int, scored: bool = True) -> int:
    """Return the number of tokens from which on a CPU computes the band faster than all pairs under a mask."""
    # measured for windows of 16 to 512: all pairs take 1.0 to 1.3 times as long at this number of tokens, and up to
    # 2 times as long at 1.5 times as many tokens
    return max(2 * window, 128) if scored else 2 * window + 256


def full_attention(query: Tensor, key: Tensor, value: Tensor, log_keep: Tensor, drop: float = 0.0) -> Attended:
    """Compute attention of each query to every key; arguments as for `attend`."""
    return _all_pairs(query, key, value, log_keep[:, None, None, :], log_keep, drop)


def local_attention(
    query: Tensor, key: Tensor, value: Tensor, positions: Tensor, log_keep: Tensor, window: int, drop: float = 0.0
) -> Attended:
    """Compute local attention with CLS by masking all pairs; arguments as for `attend`."""
    return _all_pairs(query, key, value, _local_bias(positions, log_keep, window)[:, None], log_keep, drop)


def _local_bias(positions: Tensor, log_keep: Tensor, window: int) -> Tensor:
    """Return the bias that is added to the logits of all pairs, ``(batch, queries, keys)``."""
    outside = (positions[:, :, None] - positions[:, None, :]).abs() > window // 2
    outside[:, :, 0] = False
    return log_keep[:, None, :].masked_fill(outside, -torch.inf)


def banded_attention(
    query: Tensor, key: Tensor, value: Tensor, positions: Tensor, log_keep: Tensor, window: int, drop: float = 0.0
) -> Attended:
    """Compute the same as `local_attention`, but only for pairs in a band; arguments as for `attend`."""
    _, heads, n, _ = query.shape
    band = Band(positions, log_keep, window)
    weights = band.queries(log_keep.exp()[:, None, :, None])
    queries, bias = band.queries(_scaled(query)), BASE_2 * band.bias
    keys, values = band.with_cls(key), band.with_cls(value)

    context, sums, first = _in_slices((queries, keys, values), bias, weights, drop)
    cls = band.by_token(torch.cat([first[:, :1], torch.zeros_like(first[:, 1:])], 1))
    return Attended(context.flatten(2, 3)[:, :, :n], band.by_token(sums) / heads, cls / heads)


def unscored_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    positions: Tensor,
    log_keep: Tensor,
    window: int | None = None,
    global_row: GlobalRow | None = None,
) -> Tensor:
    """Compute the context of `attend` by torch's own attention, which does not give the attention that keys received.

    Arguments are those of `attend`; CLS must be kept, so that every query sees a key.

    Returns
    -------
    Tensor
        ``(batch, heads, n, head_dim)``.
    """
    if window is None:
        context = scaled_dot_product_attention(query, key, value, log_keep[:, None, None, :])
    elif query.shape[2] >= banded_from(window, scored=False):
        context = _unscored_band(query, key, value, positions, log_keep, window)
    else:
        context = scaled_dot_product_attention(query, key, value, _local_bias(positions, log_keep, window)[:, None])
    return context if global_row is None else torch.cat([global_row.context[:, :, None], context[:, :, 1:]], 2)


def _unscored_band(
    query: Tensor, key: Tensor, value: Tensor, positions: Tensor, log_keep: Tensor, window: int
) -> Tensor:
    band = Band(positions, log_keep, window)
    chunked = band.queries(query), band.with_cls(key), band.with_cls(value), band.bias
    # each chunk becomes a sequence
    queries, keys, values, bias = (tensor.transpose(1, 2).flatten(0, 1) for tensor in chunked)
    context = scaled_dot_product_attention(queries, keys, values, bias)
    context = context.unflatten(0, (-1, band.chunks)).transpose(1, 2)
    return context.flatten(2, 3)[:, :, : band.n]


def _all_pairs(query: Tensor, key: Tensor, value: Tensor, bias: Tensor, log_keep: Tensor, drop: float) -> Attended:
    weights = log_keep.exp()[:, None, :, None]
    context, received, cls = _in_slices((_scaled(query), key, value), BASE_2 * bias, weights, drop)
    return Attended(context, received / query.shape[1], cls / query.shape[1])


def _scaled(query: Tensor) -> Tensor:
    """Return queries scaled so that their products with keys are logits to the base 2."""
    return query * (BASE_2 / math.sqrt(query.shape[-1]))


def _weigh(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor, weights: Tensor, drop: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the contexts, the attention that keys received, and the probabilities of the first query.

    Logits are to the base 2. To save a pass over all pairs, the results are divided by the sums of the powers instead
    of the powers themselves. A row whose `bias` is -inf everywhere gives zeros.

    Parameters
    ----------
    query, key, value : Tensor
        ``(..., queries or keys, head_dim)``, the queries from `_scaled`.
    bias : Tensor
        Added to the logits, ``(..., queries, keys)``.
    weights : Tensor
        Weights of the queries in the attention received, ``(..., queries, 1)``.
    drop : float
        Dropout probability of the probabilities in the context.
    """
    logits = query @ key.transpose(-1, -2)
    logits = logits if logits.dtype == torch.float64 else logits.float()
    logits += bias
    logits -= logits.detach().amax(-1, keepdim=True).clamp_min(torch.finfo(logits.dtype).min)
    powers = logits.exp2_()
    totals = powers.sum(-1, keepdim=True).clamp_min(1)  # the largest power is 1, unless a query has no key
    context = (dropout(powers, drop, drop > 0).to(value.dtype) @ value) / totals.to(value.dtype)
    received = ((weights / totals).transpose(-1, -2) @ powers).squeeze(-2)
    return context, received, powers[..., 0, :] / totals[..., 0, :]


def _in_slices(
    tensors: tuple[Tensor, Tensor, Tensor], bias: Tensor, weights: Tensor, drop: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute attention for slices of sequences and heads whose probabilities fit the cache of a CPU.

    Other devices compute everything at once.

    Parameters
    ----------
    tensors : tuple of Tensor
        Queries, keys and values as for `_weigh`, ``(batch, heads, ..., head_dim)``.
    bias, weights : Tensor
        As for `_weigh`, ``(batch, 1, ...)``.
    drop : float
        Dropout probability, as for `_weigh`.

    Returns
    -------
    tuple of Tensor
        The contexts, ``(batch, heads, ...)``, and two sums over heads: of the attention that keys received, and of the
        attention of the first query.
    """
    batch, heads = tensors[0].shape[:2]
    of_head = math.prod(tensors[0].shape[2:-1]) * tensors[1].shape[-2]
    at_once = tensors[0].device.type != "cpu"
    slice_rows = batch if at_once else max(1, SLICE // (heads * of_head))
    slice_heads = heads if at_once or heads * of_head <= SLICE else max(1, SLICE // of_head)
    parts = []
    # in training, slices by index would each get a gradient of the size of the whole tensor
    for *own, near, weight in zip(*(tensor.split(slice_rows) for tensor in (*tensors, bias, weights)), strict=True):
        by_heads = zip(*(tensor.split(slice_heads, 1) for tensor in own), strict=True)
        sliced = [_weigh(query, key, value, near, weight, drop) for query, key, value in by_heads]
        contexts, received, first = zip(*sliced, strict=True)
        parts.append((torch.cat(contexts, 1), _over_heads(received), _over_heads(first)))
    if len(parts) == 1:
        return parts[0]
    contexts, received, first = zip(*parts, strict=True)
    return torch.cat(contexts), torch.cat(received), torch.cat(first)


def _over_heads(slices: tuple[Tensor, ...]) -> Tensor:
    """Return the sum over the heads, dimension 1, of all slices."""
    first, *others = (tensor.sum(1) for tensor in slices)
    return sum(others, first)


def _with_global_row(attended: Attended, row: GlobalRow, log_keep: Tensor) -> Attended:
    """Replace the local attention of CLS by its global attention, also in `Attended.received`."""
    context = torch.cat([row.context[:, :, None], attended.context[:, :, 1:]], 2)
    cls = row.probabilities.mean(1)
    received = attended.received + log_keep[:, :1].exp() * (cls - attended.cls)
    return Attended(context, received, cls)
