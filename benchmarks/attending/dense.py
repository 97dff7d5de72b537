"""Dense attention, and attention over random lists: what predicted lists are held against."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from entmax import entmax15
from torch import Tensor
from torch.nn.attention.flex_attention import flex_attention, noop_mask
from torch.nn.functional import scaled_dot_product_attention

from attending.sources import Inputs
from sparse_attention.block_sparse.dispatch import attend
from sparse_attention.block_sparse.lists import BlockLists

BASELINES = ("dense", "package", "backward", "given", "flex")
LARGEST = 2**31  # bytes of scores up to which the package, which holds them several times, is timed
NOWHERE = -1e9  # a score that is never attended to; the package's sorts do not take -inf everywhere
Call = Callable[[], Any]


def sdpa(inputs: Inputs) -> Call:
    """Return PyTorch's dense softmax attention, told of the mask in the way that is fastest."""
    length, (first, last, position) = inputs.query.shape[2], _bounds(inputs)
    places = torch.arange(length)
    options: dict[str, Any] = {"enable_gqa": inputs.query.shape[1] != inputs.key.shape[1]}
    if not (torch.equal(position, places) and not first.any()):
        options["attn_mask"] = inputs.visible.mask()
    elif torch.equal(last, places):
        options["is_causal"] = True
    elif not (last == length - 1).all():
        options["attn_mask"] = inputs.visible.mask()
    return functools.partial(scaled_dot_product_attention, inputs.query, inputs.key, inputs.value, **options)


def _bounds(inputs: Inputs) -> tuple[Tensor, Tensor, Tensor]:
    visible = inputs.visible
    return visible.first[0, 0].long(), visible.last[0, 0].long(), visible.position[0, 0].long()


def dense_attention(inputs: Inputs, baselines: list[str]) -> Iterator[tuple[str, str, Call]]:
    """Yield method, attention and call of every dense attention."""
    given = inputs.query, inputs.key, inputs.value
    if "dense" in baselines:
        yield "sdpa", "softmax", sdpa(inputs)
        yield "dense", "softmax", functools.partial(attend, *given, None, 1.0, inputs.visible)
        yield "dense", "entmax", functools.partial(attend, *given, None, 1.5, inputs.visible)
    if "package" in baselines and 4 * inputs.query[..., 0].numel() * inputs.query.shape[2] <= LARGEST:
        highest = min(512, inputs.query.shape[2])
        yield "package, sorting", "entmax", functools.partial(by_package, inputs, None)
        yield "package, sorting the highest", "entmax", functools.partial(by_package, inputs, highest)


def by_package(inputs: Inputs, highest: int | None) -> Tensor:
    """Attend by the package `entmax`, which sorts all scores of a query, or the highest."""
    shared = inputs.query.shape[1] // inputs.key.shape[1]
    key, value = (tensor.repeat_interleave(shared, 1) for tensor in (inputs.key, inputs.value))
    scores = inputs.query @ key.mT * inputs.query.shape[-1] ** -0.5
    return entmax15(scores.masked_fill_(~inputs.visible.mask(), NOWHERE), dim=-1, k=highest) @ value


def forward_and_backward(inputs: Inputs) -> tuple[Call, dict[str, Call]]:
    """Return SDPA, forward and backward, and our dense attentions by name."""
    leaves = [tensor.clone().requires_grad_() for tensor in (inputs.query, inputs.key, inputs.value)]
    trained = Inputs(leaves[0], leaves[1], leaves[2], inputs.visible)
    dense = sdpa(trained)
    return lambda: dense().backward(inputs.query), {
        name: lambda alpha=alpha: attend(*leaves, None, alpha, inputs.visible).output.backward(inputs.query)
        for name, alpha in (("softmax", 1.0), ("entmax", 1.5))
    }


@functools.cache
def compiled_flex() -> Callable[..., Tensor]:
    """Return FlexAttention, compiled."""
    return torch.compile(flex_attention)


def flex_call(inputs: Inputs, lists: BlockLists) -> Call:
    """Return FlexAttention over lists; where every query sees everything, each listed block is full."""
    everything = sdpa(inputs).keywords.keys() == {"enable_gqa"}
    mask = lists.to_block_mask(None if everything else inputs.visible)
    # a compiled kernel reads the lists alone
    mask.mask_mod = noop_mask if everything else inputs.visible.mask_mod()
    shared = inputs.query.shape[1] != inputs.key.shape[1]
    return lambda: compiled_flex()(inputs.query, inputs.key, inputs.value, block_mask=mask, enable_gqa=shared)


def random_lists(inputs: Inputs, share: float, block: int) -> BlockLists:
    """Return lists that keep a share of the blocks that a block of queries may see, drawn at random, at least one."""
    heads, length = inputs.query.shape[1:3]
    seen = inputs.visible.blocks(block, block).expand(1, heads, -1, -1)
    drawn = torch.rand(seen.shape, generator=torch.Generator().manual_seed(0)).masked_fill(~seen, -1)
    rank = drawn.argsort(-1, descending=True).argsort(-1)
    kept = (rank < (seen.sum(-1, keepdim=True) * share).round().clamp(min=1)) & seen
    return BlockLists.of(kept, length, length, block, block)
