"""The forward pass: a program computes the attention of a tile of queries.

Nothing of the size of all pairs is kept. Entmax needs its threshold before it can add up values, so keys are read, and
scores computed, several times: once for a first guess, some times for Newton's method, and once for the output.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from sparse_attention.block_sparse.triton.problem import SOFTMAX, Problem, padded
from sparse_attention.block_sparse.triton.tiles import (
    limits_of,
    load_rows,
    rows_of,
    scores_of,
    shares_of,
    store_rows,
    tokens_of,
)

GUESSES = tl.constexpr(2)
"""Newton's steps on a single tile of scores, while it is at hand."""
STEPS = tl.constexpr(50)
"""Newton's steps on all scores, at most; a handful is enough."""
ROUNDING = tl.constexpr(4 * 2.0**-23)
"""The size of a step after which no more is taken."""


class Forward(NamedTuple):
    """What the forward pass gives.

    Attributes
    ----------
    output, thresholds : Tensor
        As `dispatch.attend` returns them.
    average : Tensor
        For the backward pass: values averaged with weights ``p ** (2 - alpha)``; of softmax the output.
    live : Tensor or None
        For the backward pass of entmax: of each listed block, in the order of the walk, whether any of its
        probabilities is above 0; int8.
    """

    output: Tensor
    thresholds: Tensor
    average: Tensor
    live: Tensor | None


def attend_forward(problem: Problem, differentiable: bool) -> Forward:
    """Run the forward pass; without `differentiable`, what only the backward pass needs is left out."""
    query, value, walk, settings = problem.query, problem.value, problem.walk, problem.settings
    batch, heads, queries, _ = query.shape
    output = query.new_empty((*query.shape[:3], value.shape[-1]))
    thresholds = query.new_empty(query.shape[:3], dtype=torch.float32)
    most, keys, options = problem.tiles
    rows = padded(walk.query_block, most)
    grid = triton.cdiv(queries, walk.query_block) * triton.cdiv(walk.query_block, rows), heads, batch
    read = query, problem.key, value, walk.blocks, walk.partial, walk.counts, *problem.bounds
    numbers = *problem.sizes, walk.blocks.shape[-1], problem.scale
    settings |= {"ROWS": rows, "KEYS": keys, **options}
    if settings["POWER"] == SOFTMAX:
        del settings["POWER"]
        _softmax[grid](*read, output, thresholds, *numbers, **settings)
        return Forward(output, thresholds, output, None)
    average = torch.empty_like(output, dtype=torch.float32) if differentiable else output
    live = torch.zeros_like(walk.blocks, dtype=torch.int8) if differentiable else None
    written = output, thresholds, average, walk.blocks if live is None else live
    _entmax[grid](*read, *written, *numbers, problem.exponent, DIFFERENTIABLE=differentiable, **settings)
    return Forward(output, thresholds, average, live)


@triton.jit
def _softmax(  # type: ignore[no-untyped-def]
    query, key, value, blocks, partial, counts, first, last, position, output, thresholds,
    queries, keys, shared, seen, list_batches, list_heads, width, scale,
    BOUNDED: tl.constexpr, QUERY_BLOCK: tl.constexpr, KEY_BLOCK: tl.constexpr, DIM: tl.constexpr, WIDTH: tl.constexpr,
    VALUE_DIM: tl.constexpr, VALUE_WIDTH: tl.constexpr, PRECISION: tl.constexpr, ROWS: tl.constexpr, KEYS: tl.constexpr,
):  # fmt: skip
    """Compute the softmax attention of a tile of queries, relative to the highest score so far (Dao et al. 2022)."""
    block, row, inside = rows_of(tl.program_id(0), queries, QUERY_BLOCK, ROWS)
    head, batch = tl.program_id(1), tl.program_id(2)
    own = (batch.to(tl.int64) * tl.num_programs(1) + head) * queries
    group = batch.to(tl.int64) * (tl.num_programs(1) // shared) + head // shared
    key += group * keys * DIM
    value += group * keys * VALUE_DIM
    line = (batch % list_batches * list_heads + head % list_heads) * tl.cdiv(queries, QUERY_BLOCK) + block
    blocks += line.to(tl.int64) * width
    checked, end = limits_of(tl.load(counts + line), tl.load(partial + line), KEY_BLOCK, KEYS)
    q = load_rows(query + own * DIM, row, inside, False, DIM, WIDTH)
    lowest, highest = row, row
    if BOUNDED:
        bounds = batch.to(tl.int64) * seen + head % seen
        position += bounds * keys
        lowest = tl.load(first + bounds * queries + row, mask=inside, other=0)
        highest = tl.load(last + bounds * queries + row, mask=inside, other=-1)
    top, total = tl.full((ROWS,), float("-inf"), tl.float32), tl.zeros((ROWS,), tl.float32)
    mixed = tl.zeros((ROWS, VALUE_WIDTH), tl.float32)
    for whole in tl.static_range(2):
        begin, finish = (checked, end) if whole else (0, checked)
        for at in range(begin, finish, KEYS):
            token, there = tokens_of(blocks, at, finish, keys, whole, KEY_BLOCK, KEYS)
            k = load_rows(key, token, there, whole, DIM, WIDTH)
            scores = scores_of(q, k, scale, lowest, highest, position, token, there, whole, BOUNDED, PRECISION)
            higher = tl.maximum(top, tl.max(scores, 1))
            base = tl.where(higher == float("-inf"), 0.0, higher)
            share, less = tl.exp2(scores - base[:, None]), tl.exp2(top - base)
            total = total * less + tl.sum(share, 1)
            v = load_rows(value, token, there, whole, VALUE_DIM, VALUE_WIDTH)
            mixed = tl.dot(share.to(v.dtype), v, mixed * less[:, None], input_precision=PRECISION)
            top = higher
    some = total > 0
    norm = tl.where(some, total, 1.0)
    store_rows(output + own * VALUE_DIM, row, inside, mixed / norm[:, None], VALUE_DIM, VALUE_WIDTH)
    # from powers of 2 to the natural logarithm
    threshold = tl.where(some, (top + tl.log2(norm)) * 0.6931471805599453, float("inf"))
    tl.store(thresholds + own + row, threshold, mask=inside)


@triton.jit
def _entmax(  # type: ignore[no-untyped-def]
    query, key, value, blocks, partial, counts, first, last, position, output, thresholds, average, live,
    queries, keys, shared, seen, list_batches, list_heads, width, scale, exponent, DIFFERENTIABLE: tl.constexpr,
    POWER: tl.constexpr, BOUNDED: tl.constexpr, QUERY_BLOCK: tl.constexpr, KEY_BLOCK: tl.constexpr, DIM: tl.constexpr,
    WIDTH: tl.constexpr, VALUE_DIM: tl.constexpr, VALUE_WIDTH: tl.constexpr, PRECISION: tl.constexpr,
    ROWS: tl.constexpr, KEYS: tl.constexpr,
):  # fmt: skip
    """Compute the entmax attention of a tile of queries."""
    block, row, inside = rows_of(tl.program_id(0), queries, QUERY_BLOCK, ROWS)
    head, batch = tl.program_id(1), tl.program_id(2)
    own = (batch.to(tl.int64) * tl.num_programs(1) + head) * queries
    group = batch.to(tl.int64) * (tl.num_programs(1) // shared) + head // shared
    key += group * keys * DIM
    value += group * keys * VALUE_DIM
    line = (batch % list_batches * list_heads + head % list_heads) * tl.cdiv(queries, QUERY_BLOCK) + block
    blocks += line.to(tl.int64) * width
    checked, end = limits_of(tl.load(counts + line), tl.load(partial + line), KEY_BLOCK, KEYS)
    q = load_rows(query + own * DIM, row, inside, False, DIM, WIDTH)
    lowest, highest = row, row
    if BOUNDED:
        bounds = batch.to(tl.int64) * seen + head % seen
        position += bounds * keys
        lowest = tl.load(first + bounds * queries + row, mask=inside, other=0)
        highest = tl.load(last + bounds * queries + row, mask=inside, other=-1)
    # The threshold is kept relative to the highest score. That of some keys never exceeds that of all, so the steps
    # that single tiles allow give a lower bound, from which Newton's method rises to the threshold.
    top, tau = tl.full((ROWS,), float("-inf"), tl.float32), tl.full((ROWS,), -1.0, tl.float32)
    for whole in tl.static_range(2):
        begin, finish = (checked, end) if whole else (0, checked)
        for at in range(begin, finish, KEYS):
            token, there = tokens_of(blocks, at, finish, keys, whole, KEY_BLOCK, KEYS)
            k = load_rows(key, token, there, whole, DIM, WIDTH)
            scores = scores_of(q, k, scale, lowest, highest, position, token, there, whole, BOUNDED, PRECISION)
            higher = tl.maximum(top, tl.max(scores, 1))
            base = tl.where(higher == float("-inf"), 0.0, higher)
            tau = tl.maximum(tau + (top - base), -1.0)
            top = higher
            for _ in tl.static_range(GUESSES):
                share, slope = shares_of(scores - base[:, None] - tau[:, None], exponent, POWER)
                tau += tl.maximum(_rise(tl.sum(share, 1), tl.sum(slope, 1), exponent, POWER), 0.0)
    some = top > float("-inf")
    base = tl.where(some, top, 0.0)
    rise, step = tl.where(inside & some, 1.0, 0.0), 0
    while (tl.max(rise, 0) > ROUNDING) & (step < STEPS):
        total, slopes = tl.zeros((ROWS,), tl.float32), tl.zeros((ROWS,), tl.float32)
        for whole in tl.static_range(2):
            begin, finish = (checked, end) if whole else (0, checked)
            for at in range(begin, finish, KEYS):
                token, there = tokens_of(blocks, at, finish, keys, whole, KEY_BLOCK, KEYS)
                k = load_rows(key, token, there, whole, DIM, WIDTH)
                scores = scores_of(q, k, scale, lowest, highest, position, token, there, whole, BOUNDED, PRECISION)
                share, slope = shares_of(scores - base[:, None] - tau[:, None], exponent, POWER)
                total += tl.sum(share, 1)
                slopes += tl.sum(slope, 1)
        # a row stays as it is after its first step of the size of rounding, while others go on
        rise = tl.where(rise > ROUNDING, tl.maximum(_rise(total, slopes, exponent, POWER), 0.0), 0.0)
        tau += rise
        step += 1
    mixed, averaged = tl.zeros((ROWS, VALUE_WIDTH), tl.float32), tl.zeros((ROWS, VALUE_WIDTH), tl.float32)
    weight = tl.zeros((ROWS,), tl.float32)
    for whole in tl.static_range(2):
        begin, finish = (checked, end) if whole else (0, checked)
        for at in range(begin, finish, KEYS):
            token, there = tokens_of(blocks, at, finish, keys, whole, KEY_BLOCK, KEYS)
            k = load_rows(key, token, there, whole, DIM, WIDTH)
            scores = scores_of(q, k, scale, lowest, highest, position, token, there, whole, BOUNDED, PRECISION)
            share, slope = shares_of(scores - base[:, None] - tau[:, None], exponent, POWER)
            v = load_rows(value, token, there, whole, VALUE_DIM, VALUE_WIDTH)
            mixed = tl.dot(share.to(v.dtype), v, mixed, input_precision=PRECISION)
            if DIFFERENTIABLE:
                averaged = tl.dot(slope.to(v.dtype), v, averaged, input_precision=PRECISION)
                weight += tl.sum(slope, 1)
                listed = live + line.to(tl.int64) * width + (at + tl.arange(0, KEYS)) // KEY_BLOCK
                tl.store(listed, 1, mask=tl.max(tl.where(inside[:, None], share, 0.0), 0) > 0)
    store_rows(output + own * VALUE_DIM, row, inside, mixed, VALUE_DIM, VALUE_WIDTH)
    tl.store(thresholds + own + row, tl.where(some, top + tau, float("inf")), mask=inside)
    if DIFFERENTIABLE:
        averaged /= tl.where(weight > 0, weight, 1.0)[:, None]
        store_rows(average + own * VALUE_DIM, row, inside, averaged, VALUE_DIM, VALUE_WIDTH)


@triton.jit
def _rise(total, slopes, exponent, POWER: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return the step of Newton's method on the norm of what exceeds the threshold; it is convex in the threshold."""
    some = total > 0
    total = tl.where(some, total, 1.0)
    if POWER == 1:
        norm = total
    elif POWER == 2:
        norm = tl.sqrt(total)
    else:
        norm = tl.exp2(tl.log2(total) / exponent)
    return tl.where(some, (norm - 1) * total / (norm * tl.where(some, slopes, 1.0)), 0.0)
