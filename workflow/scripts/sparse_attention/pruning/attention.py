"""Attention over tokens that carry their original positions and a keep state, with what each key received.

The first token of each sequence is CLS. A key's keep state is `log_keep`, which is added to its logits: 0 for a token
that is kept, -inf for padding and for a pruned token, log m for a soft keep weight m. A window is a matter of original
positions, so that hiding tokens and removing them give the same result.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import dropout, pad


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


def banded_from(window: int) -> int:
    """Return the number of tokens from which on the band is faster than all pairs under a mask."""
    return 2 * window  # there 1.5 times faster on one core, and 5 times at twice as many tokens


def full_attention(query: Tensor, key: Tensor, value: Tensor, log_keep: Tensor, drop: float = 0.0) -> Attended:
    """Let each query see every key; shapes as in `attend`."""
    return _all_pairs(query, key, value, log_keep[:, None, None, :], log_keep, drop)


def local_attention(
    query: Tensor, key: Tensor, value: Tensor, positions: Tensor, log_keep: Tensor, window: int, drop: float = 0.0
) -> Attended:
    """Let each query see the keys in its window and CLS, by masking all pairs; shapes as in `attend`."""
    outside = (positions[:, :, None] - positions[:, None, :]).abs() > window // 2
    outside[:, :, 0] = False
    bias = log_keep[:, None, :].masked_fill(outside, -torch.inf)
    return _all_pairs(query, key, value, bias[:, None], log_keep, drop)


def banded_attention(
    query: Tensor, key: Tensor, value: Tensor, positions: Tensor, log_keep: Tensor, window: int, drop: float = 0.0
) -> Attended:
    """Compute what `local_attention` computes from a band of keys only; shapes as in `attend`.

    Tokens stand in the order of their positions, so keys within half a window of a query by position are so by place
    too. Queries are cut into chunks of half a window; each chunk meets its own keys and half a window on either side.
    """
    batch, heads, n, head_dim = query.shape
    half = window // 2
    chunks = -(-n // half)
    beyond = chunks * half - n
    sides = (half, half + beyond)  # of the keys: before the first one and after the last
    local_keep = torch.cat([torch.full_like(log_keep[:, :1], -torch.inf), log_keep[:, 1:]], 1)  # CLS has its own column

    def chunked_keys(tensor: Tensor) -> Tensor:
        return pad(tensor, (0, 0, *sides)).unfold(2, 3 * half, half)  # (batch, heads, chunks, head_dim, 3 half)

    queries = pad(query, (0, 0, 0, beyond)).reshape(batch, heads, chunks, half, head_dim) / math.sqrt(head_dim)
    query_positions = pad(positions, (0, beyond)).reshape(batch, chunks, half, 1)
    key_positions = pad(positions, sides).unfold(1, 3 * half, half)[:, :, None]
    bias = pad(local_keep, sides, value=-torch.inf).unfold(1, 3 * half, half)[:, :, None]
    bias = bias.masked_fill((query_positions - key_positions).abs() > half, -torch.inf)
    to_cls = queries @ key[:, :, None, 0, :, None] + log_keep[:, None, None, :1, None]
    logits = torch.cat([to_cls, queries @ chunked_keys(key) + bias[:, None]], -1)
    probabilities = _softmax(logits)
    used = dropout(probabilities, drop, drop > 0).to(value.dtype)
    context = used[..., 1:] @ chunked_keys(value).transpose(-1, -2) + used[..., :1] * value[:, :, None, :1]

    weights = pad(log_keep.exp(), (0, beyond)).reshape(batch, 1, chunks, half, 1)
    sums = (probabilities * weights).sum(3).mean(1)  # (batch, chunks, 1 + 3 half)
    places = torch.arange(chunks * 3 * half, device=key.device).reshape(chunks, -1)
    places = (places % (3 * half) + half * torch.arange(chunks, device=key.device)[:, None]).flatten()
    padded = sums.new_zeros(batch, n + sum(sides)).index_add(1, places, sums[..., 1:].flatten(1))
    received = padded[:, half : half + n]
    received = torch.cat([sums[..., 0].sum(1, keepdim=True), received[:, 1:]], 1)
    # CLS's row by place: its column, then the keys from its chunk on, of which the first half lies before CLS
    cls = probabilities[:, :, 0, 0].mean(1)
    cls = pad(torch.cat([cls[:, :1], cls[:, half + 2 :]], 1), (0, max(0, n - 2 * half)))[:, :n]
    return Attended(context.reshape(batch, heads, -1, head_dim)[:, :, :n], received, cls)


def cls_global_row(
    states: Tensor,
    query: Tensor,
    key_weight: Tensor,
    value_weight: Tensor,
    value_bias: Tensor,
    log_keep: Tensor,
    drop: float = 0.0,
) -> GlobalRow:
    """Compute CLS's global attention without projecting every token to a global key and value.

    `q · (K x) = (Kᵀ q) · x` and `Σ p (V x) = V (Σ p x)`, so one query and one mixture per head are projected instead of
    all tokens. The bias of the keys shifts all logits alike, and is left out.

    Parameters
    ----------
    states : Tensor
        `(batch, n, hidden)`.
    query : Tensor
        CLS's global query, not yet scaled, `(batch, heads, head_dim)`.
    key_weight, value_weight : Tensor
        Of the global projections, `(hidden, hidden)`.
    value_bias : Tensor
        `(hidden)`.
    log_keep : Tensor
        `(batch, n)`.
    drop : float
        Dropout of the probabilities that weigh the values.

    Returns
    -------
    GlobalRow
    """
    _, heads, head_dim = query.shape
    folded = torch.einsum("bhe,hed->bhd", query / math.sqrt(head_dim), key_weight.unflatten(0, (heads, head_dim)))
    probabilities = _softmax(folded @ states.transpose(1, 2) + log_keep[:, None])
    used = dropout(probabilities, drop, drop > 0).to(states.dtype)
    context = torch.einsum("bhd,hed->bhe", used @ states, value_weight.unflatten(0, (heads, head_dim)))
    return GlobalRow(context + used.sum(-1, keepdim=True) * value_bias.unflatten(0, (heads, head_dim)), probabilities)


def _all_pairs(query: Tensor, key: Tensor, value: Tensor, bias: Tensor, log_keep: Tensor, drop: float) -> Attended:
    probabilities = _softmax(query / math.sqrt(query.shape[-1]) @ key.transpose(-1, -2) + bias)
    context = dropout(probabilities, drop, drop > 0).to(value.dtype) @ value
    weights = log_keep.exp()[:, None, None]
    received = (weights.to(probabilities.dtype) @ probabilities).squeeze(2).mean(1)
    return Attended(context, received, probabilities[:, :, 0].mean(1))


def _with_global_row(attended: Attended, row: GlobalRow, log_keep: Tensor) -> Attended:
    """Put CLS's global row in the place of its local one, which `Attended.received` counted with CLS's weight."""
    context = torch.cat([row.context[:, :, None], attended.context[:, :, 1:]], 2)
    cls = row.probabilities.mean(1)
    received = attended.received + log_keep[:, :1].exp() * (cls - attended.cls)
    return Attended(context, received, cls)


def _softmax(logits: Tensor) -> Tensor:
    """Give the softmax over the last axis, in float32 at least; rows that are all -inf give zeros."""
    logits = logits if logits.dtype == torch.float64 else logits.float()
    empty = logits.detach().amax(-1, keepdim=True) == -torch.inf
    if logits.device.type == "cpu" and not empty.any():  # elsewhere asking costs more than masking
        return torch.softmax(logits, -1)
    return torch.softmax(logits.masked_fill(empty, 0.0), -1).masked_fill(empty, 0.0)
