"""Rows of other ways to attend: the package `entmax`, backward passes, given random lists, and FlexAttention."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import torch
from entmax import entmax15
from torch import Tensor
from torch.nn.attention.flex_attention import flex_attention, noop_mask

from sparse_attention.attention_timing.dense import Call, dense, sdpa
from sparse_attention.attention_timing.inputs import Inputs
from sparse_attention.attention_timing.rows import Measured, Row, dense_rows, kept_of
from sparse_attention.block_sparse.dispatch import attend
from sparse_attention.block_sparse.lists import BlockLists
from sparse_attention.evaluation.block_lists import Prediction

BASELINES = ("dense", "package", "backward", "given", "flex")
LARGEST = 2**31  # bytes of scores up to which the package, which holds them several times, is timed
NOWHERE = -1e9  # a score that is never attended to; the package's sorts do not take -inf everywhere


def rows_without_blocks(measured: Measured, baselines: list[str]) -> Iterator[Row]:
    """Yield the rows of dense attention that `baselines` names."""
    inputs = measured.inputs
    if "dense" in baselines:
        yield from dense_rows(measured)
    if "package" in baselines and 4 * inputs.query[..., 0].numel() * inputs.query.shape[2] <= LARGEST:
        for method, highest in (("package, sorting", None), ("package, sorting the highest", 512)):
            call = functools.partial(by_package, inputs, highest and min(highest, inputs.query.shape[2]))
            yield measured.dense_row(method, "entmax", call, measured.time(call))
    if "backward" in baselines:
        theirs, ours = forward_and_backward(inputs)
        both = measured.time(theirs)
        for computed, call in ours.items():
            yield measured.dense_row("dense, with backward", computed, call, measured.time(call), both)


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
    theirs, ours = sdpa(trained), {name: dense(trained, alpha) for name, alpha in (("softmax", 1.0), ("entmax", 1.5))}
    return lambda: theirs().backward(inputs.query), {
        name: lambda call=call: call().output.backward(inputs.query) for name, call in ours.items()
    }


def rows_of_given_lists(measured: Measured, baselines: list[str], share: float, block: int) -> Iterator[Row]:
    """Yield the rows of attention over random lists, which take no prediction, as far as `baselines` names them."""
    inputs, wanted = measured.inputs, measured.wanted
    lists = random_lists(inputs, share, block)
    kept = kept_of(inputs, Prediction(lists))
    calls: dict[str, Call] = {}
    if "given" in baselines:
        given = inputs.query, inputs.key, inputs.value, lists
        for computed in wanted.computed:
            calls[computed] = functools.partial(attend, *given, wanted.alpha_of(computed), inputs.visible)
    if "flex" in baselines:
        calls["flex"] = flex_call(inputs, lists)
    for computed, call in calls.items():
        named = {"method": "random lists, given", "order": "tokens", "computed": computed}
        times = {"attend_ms": measured.time(call)}
        yield measured.row(call, times, **named, block=block, asked=share, kept=kept)


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
