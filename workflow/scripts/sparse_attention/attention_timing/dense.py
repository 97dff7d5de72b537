"""Dense attention: what attention over predicted blocks is held against."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from sparse_attention.attention_timing.inputs import Inputs
from sparse_attention.block_sparse.dispatch import attend

Call = Callable[[], Any]


def sdpa(inputs: Inputs) -> functools.partial[Tensor]:
    """Return PyTorch's dense softmax attention, told of the mask in the way that is fastest."""
    length, visible = inputs.query.shape[2], inputs.visible
    first, last, position = (bound[0, 0].long() for bound in (visible.first, visible.last, visible.position))
    places = torch.arange(length)
    options: dict[str, Any] = {"enable_gqa": inputs.query.shape[1] != inputs.key.shape[1]}
    if not (torch.equal(position, places) and not first.any()):
        options["attn_mask"] = visible.mask()
    elif torch.equal(last, places):
        options["is_causal"] = True
    elif not (last == length - 1).all():
        options["attn_mask"] = visible.mask()
    return functools.partial(scaled_dot_product_attention, inputs.query, inputs.key, inputs.value, **options)


def dense(inputs: Inputs, alpha: float) -> Call:
    """Return our dense attention; alpha 1 is softmax."""
    return functools.partial(attend, inputs.query, inputs.key, inputs.value, None, alpha, inputs.visible)
