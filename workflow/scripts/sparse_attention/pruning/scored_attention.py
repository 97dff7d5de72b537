"""Attention over tokens that carry their original positions and a keep state, with what each key received.

The first token of each sequence is CLS. A key's keep state is `log_keep`, which is added to its logits: 0 for a token
that is kept, -inf for padding and for a pruned token, log m for a soft keep weight m. A window is a matter of original
positions, so that hiding tokens and removing them give the same result.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import dropout, scaled_dot_product_attention

from sparse_attention.pruning.bands import Band

SLICE = 2**20
"""Probabilities that are computed at a time on a processor: 4 MiB; several times as many take twice as long each."""

BASE_2 = math.log2(math.e)
"""Logits are multiplied by it, since powers of 2 take half the time of those of e."""


class Attended(NamedTuple):
    """What attention gives.

    Attributes
    ----------
    context : Tensor
        Weighted values, `(batch, heads, n, head_dim)`.
    received : Tensor
        Attention that each key received, summed over the queries with their keep weights and averaged over heads,
        `(batch, n)`. A query that is pruned or padding has weight 0.
    cls : Tensor
        CLS's own row of attention, averaged over heads, `(batch, n)`.
    """

    context: Tensor
    received: Tensor
    cls: Tensor


class GlobalRow(NamedTuple):
    """CLS's row of global attention: `context` `(batch, heads, head_dim)`, `probabilities` `(batch, heads, n)`."""

    context: Tensor
    probabilities: Tensor


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
        `(batch, heads, n, head_dim)`, not yet scaled.
    positions : Tensor
        Original positions, int64 `(batch, n)`, strictly rising along the kept tokens of each sequence.
    log_keep : Tensor
        `(batch, n)`.
    window : int, optional
        Longformer's attention window: a query sees the keys at most `window / 2` positions away, and CLS once. None
        is full attention.
    global_row : GlobalRow, optional
        Replaces CLS's own row.
    drop : float
        Dropout of the probabilities, which `received` and `cls` do not see.

    Returns
    -------
    Attended
        A query without any key gets zeros.
    """
    if window is None:
        attended = full_attention(query, key, value, log_keep, drop)
    elif query.shape[2] >= banded_from(window):
        attended = banded_attention(query, key, value, positions, log_keep, window, drop)
    else:
        attended = local_attention(query, key, value, positions, log_keep, window, drop)
    return attended if global_row is None else _with_global_row(attended, global_row, log_keep)


def banded_from(window: int, scored: bool = True) -> int:
    """Return the number of tokens from which on the band is faster than all pairs under a mask, on a processor."""
    # for windows of 16 to 512: all pairs take 1.0 to 1.3 times as long there, and up to 2 times with half as many more
    return max(2 * window, 128) if scored else 2 * window + 256


def full_attention(query: Tensor, key: Tensor, value: Tensor, log_keep: Tensor, drop: float = 0.0) -> Attended:
    """Let each query see every key; shapes as in `attend`."""
    return _all_pairs(query, key, value, log_keep[:, None, None, :], log_keep, drop)


def local_attention(
    query: Tensor, key: Tensor, value: Tensor, positions: Tensor, log_keep: Tensor, window: int, drop: float = 0.0
) -> Attended:
    """Let each query see the keys in its window and CLS, by masking all pairs; shapes as in `attend`."""
    return _all_pairs(query, key, value, _local_bias(positions, log_keep, window)[:, None], log_keep, drop)


def _local_bias(positions: Tensor, log_keep: Tensor, window: int) -> Tensor:
    """Return what is added to the logits of all pairs, `(batch, queries, keys)`."""
    outside = (positions[:, :, None] - positions[:, None, :]).abs() > window // 2
    outside[:, :, 0] = False
    return log_keep[:, None, :].masked_fill(outside, -torch.inf)


def banded_attention(
    query: Tensor, key: Tensor, value: Tensor, positions: Tensor, log_keep: Tensor, window: int, drop: float = 0.0
) -> Attended:
    """Compute what `local_attention` computes from a band of keys only; shapes as in `attend`."""
    batch, heads, n, _ = query.shape
    band = Band(positions, log_keep, window)
    weights = band.queries(log_keep.exp()[:, None, :, None])
    queries, bias = band.queries(_scaled(query)), BASE_2 * band.bias
    keys, values = band.with_cls(key), band.with_cls(value)

    def compute(rows: slice, some: slice) -> tuple[Tensor, Tensor, Tensor]:
        own = queries[rows, some], keys[rows, some], values[rows, some]
        context, sums, first = _weigh(*own, bias[rows], weights[rows], drop)
        return context, sums.sum(1), first.sum(1)

    context, sums, first = _in_slices(compute, batch, heads, bias[0].numel(), query.device)
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
    """Compute the context of `attend` by torch's own attention, which does not tell what a key received.

    Arguments are those of `attend`; CLS must be kept, so that every query sees a key.

    Returns
    -------
    Tensor
        `(batch, heads, n, head_dim)`.
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
    laid = band.queries(query), band.with_cls(key), band.with_cls(value), band.bias
    queries, keys, values, bias = (tensor.transpose(1, 2).flatten(0, 1) for tensor in laid)  # chunks become sequences
    context = scaled_dot_product_attention(queries, keys, values, bias)
    context = context.unflatten(0, (-1, band.chunks)).transpose(1, 2)
    return context.flatten(2, 3)[:, :, : band.n]


def cls_global_row(
    states: Tensor,
    query: Tensor,
    key_weight: Tensor,
    value_weight: Tensor,
    value_bias: Tensor,
    log_keep: Tensor,
    drop: float = 0.0,
) -> GlobalRow:
    """Compute CLS's attention to all tokens without projecting each of them to a key and a value.

    `q · (K x) = (Kᵀ q) · x` and `Σ p (V x) = V (Σ p x)`, so one query and one mixture per head are projected instead of
    all tokens. The bias of the keys shifts all logits alike, and is left out.

    Parameters
    ----------
    states : Tensor
        `(batch, n, hidden)`.
    query : Tensor
        CLS's query (global in a Longformer), not yet scaled, `(batch, heads, head_dim)`.
    key_weight, value_weight : Tensor
        Of the projections (global ones in a Longformer), `(hidden, hidden)`.
    value_bias : Tensor
        `(hidden)`.
    log_keep : Tensor
        `(batch, n)`; CLS must be kept.
    drop : float
        Dropout of the probabilities that weigh the values.

    Returns
    -------
    GlobalRow
    """
    _, heads, head_dim = query.shape
    folded = torch.einsum("bhe,hed->bhd", query / math.sqrt(head_dim), key_weight.unflatten(0, (heads, head_dim)))
    logits = folded @ states.transpose(1, 2) + log_keep[:, None]
    probabilities = torch.softmax(logits if logits.dtype == torch.float64 else logits.float(), -1)
    used = dropout(probabilities, drop, drop > 0).to(states.dtype)
    context = torch.einsum("bhd,hed->bhe", used @ states, value_weight.unflatten(0, (heads, head_dim)))
    return GlobalRow(context + used.sum(-1, keepdim=True) * value_bias.unflatten(0, (heads, head_dim)), probabilities)


def _all_pairs(query: Tensor, key: Tensor, value: Tensor, bias: Tensor, log_keep: Tensor, drop: float) -> Attended:
    batch, heads, n, _ = query.shape
    scaled, bias, weights = _scaled(query), BASE_2 * bias, log_keep.exp()[:, None, :, None]

    def compute(rows: slice, some: slice) -> tuple[Tensor, Tensor, Tensor]:
        own = scaled[rows, some], key[rows, some], value[rows, some]
        context, sums, first = _weigh(*own, bias[rows], weights[rows], drop)
        return context, sums.sum(1), first.sum(1)

    context, received, cls = _in_slices(compute, batch, heads, n * n, query.device)
    return Attended(context, received / heads, cls / heads)


def _scaled(query: Tensor) -> Tensor:
    """Return queries whose products with keys are logits to the base 2."""
    return query * (BASE_2 / math.sqrt(query.shape[-1]))


def _weigh(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor, weights: Tensor, drop: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return contexts, what keys received of queries with `weights`, `(..., queries, 1)`, and the first query's row.

    Logits are to the base 2. Probabilities are never divided by their sum, only what is made of them is: each pass over
    all pairs costs as much as a good part of a product. `bias` may be -inf all along a row, which then gives zeros.
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
    compute: Callable[[slice, slice], tuple[Tensor, Tensor, Tensor]],
    batch: int,
    heads: int,
    size: int,
    device: torch.device,
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute attention for a few sequences or heads at a time, whose probabilities stay in the processor's cache.

    `compute` takes slices of sequences and of heads, which have `size` probabilities each, and returns their context,
    `(batch, heads, ...)`, and sums over their heads of what keys received and of CLS's row. Here the sums are over all
    heads.
    """
    whole = device.type != "cpu"
    sequences = batch if whole else max(1, SLICE // (heads * size))
    some = heads if whole or heads * size <= SLICE else max(1, SLICE // size)
    found = []
    for first in range(0, batch, sequences):
        rows = slice(first, first + sequences)
        contexts, received, cls = zip(*(compute(rows, slice(h, h + some)) for h in range(0, heads, some)), strict=True)
        found.append((torch.cat(contexts, 1), sum(received[1:], received[0]), sum(cls[1:], cls[0])))
    if len(found) == 1:
        return found[0]
    return (
        torch.cat([one[0] for one in found]),
        torch.cat([one[1] for one in found]),
        torch.cat([one[2] for one in found]),
    )


def _with_global_row(attended: Attended, row: GlobalRow, log_keep: Tensor) -> Attended:
    """Put CLS's global row in the place of its local one, which `Attended.received` counted with CLS's weight."""
    context = torch.cat([row.context[:, :, None], attended.context[:, :, 1:]], 2)
    cls = row.probabilities.mean(1)
    received = attended.received + log_keep[:, :1].exp() * (cls - attended.cls)
    return Attended(context, received, cls)
