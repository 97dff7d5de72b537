"""Prediction with pruned tokens removed.

Linear layers run on packed rows, without padding. On a GPU with Triton a kernel computes attention on the packed rows
too. Elsewhere attention runs on groups of sequences of similar length, which are padded to the longest of the group.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

from sparse_attention.pruning.layers import Layer, Projected, merge_heads
from sparse_attention.pruning.packed import Group, Packed
from sparse_attention.pruning.scored_attention import Attended


def attend_packed(
    layer: Layer, packed: Packed, waste: float, scored: bool
) -> tuple[Tensor, list[tuple[Group, Attended]]]:
    """Compute a layer's attention.

    Parameters
    ----------
    layer : Layer
    packed : Packed
    waste : float
        See `Packed.groups`; on a GPU with Triton it is not used, since nothing is padded.
    scored : bool
        Return also the attention that tokens received.

    Returns
    -------
    context : Tensor
        Context of all packed rows, ``(tokens, hidden)``.
    received : list
        With `scored`, groups that together hold all sequences, each with its `Attended`; else empty.
    """
    projected = layer.project(packed.states)
    if fused(packed.states):
        return _attend_fused(layer, packed, projected, scored)
    context, received = torch.empty_like(packed.states), []
    for group in packed.groups(waste):
        query, key, value = (tensor[group.rows] for tensor in projected)
        arguments = packed.states[group.rows], (query, key, value), packed.positions(group), group.log_keep
        if scored:
            attended = layer.attend(*arguments)
            group.write(context, merge_heads(attended.context))
            received.append((group, attended))
        else:
            group.write(context, merge_heads(layer.attend_unscored(*arguments)))
    return context, received


def fused(states: Tensor) -> bool:
    """Return whether the kernels of the module `kernels` compute the attention of these states."""
    return states.is_cuda and states.dtype != torch.float64 and _has_kernels(states.device)


@cache
def _has_kernels(device: torch.device) -> bool:
    """Return whether the kernels can run on the device: an NVIDIA GPU from Ampere on, with Triton installed."""
    suits = torch.version.hip is None and torch.cuda.get_device_capability(device) >= (8, 0)
    return suits and find_spec("triton") is not None


def _attend_fused(
    layer: Layer, packed: Packed, projected: Projected, scored: bool
) -> tuple[Tensor, list[tuple[Group, Attended]]]:
    from sparse_attention.pruning.kernels import attend_runs  # imports Triton, which is not installed without a GPU

    group = packed.whole()
    row = layer.cls_row(packed.states[group.rows], group.log_keep)
    context, sums = attend_runs(*projected, layer.heads, packed.runs(layer.window), scored)
    context.index_copy_(0, packed.starts[:-1], row.context.flatten(1))
    if sums is None:
        return context, []
    cls = row.probabilities.mean(1)
    return context, [(group, Attended(context, sums[group.rows].masked_fill(~group.inside, 0.0) + cls, cls))]


def last_cls(layer: Layer, packed: Packed, waste: float) -> Tensor:
    """Return the states of CLS after the layer, ``(batch, hidden)``, without computing those of other tokens."""
    before = packed.first_rows()
    context = torch.empty_like(before)
    for group in [packed.whole()] if fused(packed.states) else packed.groups(waste):
        row = layer.cls_row(packed.states[group.rows], group.log_keep)
        context.index_copy_(0, group.sequences, row.context.flatten(1))
    return layer.finish(context, before)
