"""Attention of packed sequences on a GPU, and the attention that each key received, as two Triton kernels.

Sequences are stored one after the other with one row per token that is left, so nothing is padded. A query sees CLS,
the first row of its sequence, and a run of neighbouring rows: those in its window of original positions. Windows reach
equally far to both sides, so the run of a key is also the run of the queries that see it.
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from sparse_attention.pruning.packed import Runs
from sparse_attention.pruning.scored_attention import BASE_2


def attend_runs(
    query: Tensor, key: Tensor, value: Tensor, heads: int, runs: Runs, scored: bool = True
) -> tuple[Tensor, Tensor | None]:
    """Compute the attention of packed rows.

    Parameters
    ----------
    query, key, value : Tensor
        ``(tokens, hidden)``, float32, bfloat16 or float16, not yet scaled.
    heads : int
        Number of attention heads.
    runs : Runs
        The rows that each query sees.
    scored : bool
        Compute also the attention that keys received.

    Returns
    -------
    context : Tensor
        ``(tokens, hidden)``; CLS too sees only itself and its run.
    received : Tensor or None
        Attention that each key received from all queries but CLS, averaged over heads, float32 ``(tokens,)``; None
        without `scored`.

    Notes
    -----
    Products of float32 are exact to about the rounding of float32, unless torch allows TF32.
    """
    query, key, value = (tensor.contiguous() for tensor in (query, key, value))
    tokens, hidden = query.shape
    dims = hidden // heads
    context = torch.empty_like(value)
    log_sums, to_cls, received = query.new_empty((3, heads, tokens), dtype=torch.float32)
    fast = torch.backends.cuda.matmul.allow_tf32
    fixed = {
        "DIMS": max(16, triton.next_power_of_2(dims)),
        "PRECISION": "tf32" if fast else "tf32x3",
        "num_warps": 4,
        "num_stages": 2 if query.dtype == torch.float32 else 3,
    }
    wide = 64 if dims <= 64 else 32
    sizes = hidden, tokens, dims, BASE_2 / math.sqrt(dims)
    grid = triton.cdiv(runs.longest, 64), heads, len(runs.starts) - 1
    _attend[grid](
        query, key, value, *runs[:3], context, log_sums, to_cls, *sizes, SCORED=scored, ROWS=64, KEYS=wide, **fixed
    )
    if not scored:
        return context, None
    _receive[grid](query, key, *runs[:3], log_sums, to_cls, received, *sizes, KEYS=64, ROWS=wide, **fixed)
    return context, received.mean(0)


@triton.jit
def _attend(  # type: ignore[no-untyped-def]
    query, key, value, starts, low, high, context, log_sums, to_cls, hidden, tokens, dims, scale,
    SCORED: tl.constexpr, ROWS: tl.constexpr, KEYS: tl.constexpr, DIMS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Compute one head's attention for a block of query rows of one sequence, by online softmax from CLS on."""
    head, sequence = tl.program_id(1), tl.program_id(2)
    start, end = tl.load(starts + sequence).to(tl.int64), tl.load(starts + sequence + 1).to(tl.int64)
    first = start + tl.program_id(0) * ROWS
    if first >= end:
        return
    rows, dim = first + tl.arange(0, ROWS), tl.arange(0, DIMS)
    inside, real = rows < end, dim < dims
    column = head * dims + dim
    own = rows[:, None] * hidden + column[None, :]
    q = tl.load(query + own, mask=inside[:, None] & real[None, :], other=0.0)
    from_row = tl.load(low + rows, mask=inside, other=0)
    to_row = tl.load(high + rows, mask=inside, other=0)
    cls_key = tl.load(key + start * hidden + column, mask=real, other=0.0).to(tl.float32)
    cls_value = tl.load(value + start * hidden + column, mask=real, other=0.0).to(tl.float32)
    cls_logits = tl.sum(q.to(tl.float32) * cls_key[None, :], 1) * scale
    largest, total = cls_logits, tl.full((ROWS,), 1.0, tl.float32)
    mixed = tl.zeros((ROWS, DIMS), tl.float32) + cls_value[None, :]
    lowest, highest = tl.load(low + first), tl.load(high + tl.minimum(first + ROWS, end) - 1)
    for at in range(lowest, highest, KEYS):
        keys = at + tl.arange(0, KEYS)
        there = (keys < highest)[:, None] & real[None, :]
        places = keys.to(tl.int64)[:, None] * hidden + column[None, :]
        k = tl.load(key + places, mask=there, other=0.0)
        logits = tl.dot(q, tl.trans(k), input_precision=PRECISION) * scale
        seen = (keys[None, :] >= from_row[:, None]) & (keys[None, :] < to_row[:, None])
        logits = tl.where(seen, logits, float("-inf"))
        larger = tl.maximum(largest, tl.max(logits, 1))
        shrink = tl.exp2(largest - larger)
        powers = tl.exp2(logits - larger[:, None])
        total = total * shrink + tl.sum(powers, 1)
        v = tl.load(value + places, mask=there, other=0.0)
        mixed = tl.dot(powers.to(v.dtype), v, mixed * shrink[:, None], input_precision=PRECISION)
        largest = larger
    mixed = mixed / total[:, None]
    tl.store(context + own, mixed.to(context.dtype.element_ty), mask=inside[:, None] & real[None, :])
    if SCORED:
        log_sum = largest + tl.log2(total)
        tl.store(log_sums + head * tokens + rows, log_sum, mask=inside)
        tl.store(to_cls + head * tokens + rows, tl.exp2(cls_logits - log_sum), mask=inside & (rows > start))


@triton.jit
def _receive(  # type: ignore[no-untyped-def]
    query, key, starts, low, high, log_sums, to_cls, received, hidden, tokens, dims, scale,
    ROWS: tl.constexpr, KEYS: tl.constexpr, DIMS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Sum one head's probabilities of a block of keys of one sequence over the queries of their runs."""
    head, sequence = tl.program_id(1), tl.program_id(2)
    start, end = tl.load(starts + sequence).to(tl.int64), tl.load(starts + sequence + 1).to(tl.int64)
    first = start + tl.program_id(0) * KEYS
    if first >= end:
        return
    keys, dim = first + tl.arange(0, KEYS), tl.arange(0, DIMS)
    inside, real = keys < end, dim < dims
    column = head * dims + dim
    k = tl.load(key + keys[:, None] * hidden + column[None, :], mask=inside[:, None] & real[None, :], other=0.0)
    from_row = tl.load(low + keys, mask=inside, other=0)
    to_row = tl.load(high + keys, mask=inside, other=0)
    sums = tl.zeros((KEYS,), tl.float32)
    lowest, highest = tl.load(low + first), tl.load(high + tl.minimum(first + KEYS, end) - 1)
    for at in range(lowest, highest, ROWS):
        rows = at + tl.arange(0, ROWS)
        there = rows < highest
        places = rows.to(tl.int64)[:, None] * hidden + column[None, :]
        q = tl.load(query + places, mask=there[:, None] & real[None, :], other=0.0)
        log_sum = tl.load(log_sums + head * tokens + rows, mask=there, other=0.0)
        logits = tl.dot(k, tl.trans(q), input_precision=PRECISION) * scale
        seen = (rows[None, :] >= from_row[:, None]) & (rows[None, :] < to_row[:, None])
        sums += tl.sum(tl.exp2(tl.where(seen, logits - log_sum[None, :], float("-inf"))), 1)
    tl.store(received + head * tokens + keys, sums, mask=inside & (keys > start))
    if first == start:
        of_cls = tl.zeros((ROWS,), tl.float32)
        for place in range(start + 1, end, ROWS):
            others = place + tl.arange(0, ROWS)
            of_cls += tl.load(to_cls + head * tokens + others, mask=others < end, other=0.0)
        tl.store(received + head * tokens + start, tl.sum(of_cls, 0))
