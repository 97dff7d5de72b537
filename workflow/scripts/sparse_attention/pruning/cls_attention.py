"""Attention of CLS to all tokens: the one global token of a Longformer, or an ordinary query elsewhere."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import dropout


class GlobalRow(NamedTuple):
    """Attention of CLS alone.

    Attributes
    ----------
    context : Tensor
        ``(batch, heads, head_dim)``.
    probabilities : Tensor
        ``(batch, heads, n)``.
    """

    context: Tensor
    probabilities: Tensor


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

    Since `q · (K x) = (Kᵀ q) · x` and `Σ p (V x) = V (Σ p x)`, one query and one weighted sum per head are projected
    instead of all tokens. The bias of the keys is left out, since it adds the same number to all logits of a row.

    Parameters
    ----------
    states : Tensor
        ``(batch, n, hidden)``.
    query : Tensor
        Query of CLS (the global one in a Longformer), not yet scaled, ``(batch, heads, head_dim)``.
    key_weight, value_weight : Tensor
        Weights of the projections (the global ones in a Longformer), ``(hidden, hidden)``.
    value_bias : Tensor
        ``(hidden,)``.
    log_keep : Tensor
        ``(batch, n)``; CLS must be kept.
    drop : float
        Dropout probability of the probabilities that weight the values.
    """
    _, heads, head_dim = query.shape
    folded = torch.einsum("bhe,hed->bhd", query / math.sqrt(head_dim), key_weight.unflatten(0, (heads, head_dim)))
    logits = folded @ states.transpose(1, 2) + log_keep[:, None]
    probabilities = torch.softmax(logits if logits.dtype == torch.float64 else logits.float(), -1)
    used = dropout(probabilities, drop, drop > 0).to(states.dtype)
    context = torch.einsum("bhd,hed->bhe", used @ states, value_weight.unflatten(0, (heads, head_dim)))
    return GlobalRow(context + used.sum(-1, keepdim=True) * value_bias.unflatten(0, (heads, head_dim)), probabilities)
