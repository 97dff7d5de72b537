"""Attention over block lists by the plainest operations: what kernels are held against, and where there is none."""

from __future__ import annotations

import torch
from torch import Tensor

from sparse_attention.attention.entmax import entmax, threshold
from sparse_attention.block_sparse.lists import BlockLists
from sparse_attention.block_sparse.visible import Visible


def attend_plainly(
    query: Tensor, key: Tensor, value: Tensor, visible: Visible, lists: BlockLists | None, alpha: float, scaling: float
) -> tuple[Tensor, Tensor]:
    """Compute all scores, mask those that are not kept, and attend; the arguments are those of `dispatch.attend`."""
    shared = query.shape[1] // key.shape[1]
    key, value = (tensor.repeat_interleave(shared, 1) for tensor in (key, value))
    counted = visible.mask()
    if lists is not None:
        counted = counted & lists.tokens()
    scores = torch.matmul(query * scaling, key.transpose(-2, -1)).masked_fill(~counted, -torch.inf)
    empty = ~counted.any(-1).expand(scores.shape[:-1])
    if alpha == 1:
        working = scores.float() if scores.dtype in (torch.float16, torch.bfloat16) else scores
        probabilities = torch.softmax(working.masked_fill(empty[..., None], 0.0), -1).masked_fill(empty[..., None], 0.0)
        limits = working.detach().logsumexp(-1)
    else:
        probabilities = entmax(scores, alpha)
        limits = threshold(scores.detach(), alpha)[..., 0]
    output = torch.matmul(probabilities.to(value.dtype), value)
    return output, limits.masked_fill(empty, torch.inf)
