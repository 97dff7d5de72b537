"""The backward pass, from the thresholds: one kernel for queries, which walks the lists, one for keys and values.

With weights ``u = p ** (2 - alpha)``, and ``change`` the gradient of the output times a value, the gradient of a score
is ``u * (change - mean)``, where ``mean`` is the average of ``change`` with weights ``u`` (Peters et al. 2019). That is
the gradient of the output times the average of the values, which the forward pass keeps. Softmax is the case ``u = p``.

A program adds up the gradients of a tile of queries, or of keys, alone, so the results do not depend on chance.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from sparse_attention.block_sparse.triton.forward import Forward
from sparse_attention.block_sparse.triton.problem import Problem, padded
from sparse_attention.block_sparse.triton.tiles import (
    limits_of,
    load_rows,
    rows_of,
    scores_of,
    shares_of,
    store_rows,
    tokens_of,
)


def attend_backward(problem: Problem, result: Forward, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of query, key and value.

    Parameters
    ----------
    problem : Problem
        With a walk that leaves out no block which has a probability above 0.
    result : Forward
        Of the same problem.
    gradient : Tensor
        Of the output, contiguous.
    """
    query, key, value, walk = problem.query, problem.key, problem.value, problem.walk
    batch, heads, queries, _ = query.shape
    groups, keys = key.shape[1:3]
    gradients = torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)
    means = torch.empty_like(result.thresholds)
    read = query, key, value, gradient, result.thresholds, *problem.bounds
    numbers = *problem.sizes, problem.scale, problem.scaling, problem.exponent, problem.unit
    most, tile, options = problem.tiles
    settings = {**problem.settings, **options}
    rows, columns = padded(walk.query_block, most), padded(walk.key_block, tile)
    grid = triton.cdiv(queries, walk.query_block) * triton.cdiv(walk.query_block, rows), heads, batch
    lists = walk.blocks, walk.partial, walk.counts, result.average, gradients[0], means
    _query_gradient[grid](*read, *lists, walk.blocks.shape[-1], *numbers, ROWS=rows, KEYS=tile, **settings)
    blocks = triton.cdiv(keys, walk.key_block)
    other = walk.transposed(blocks)
    grid = blocks * triton.cdiv(walk.key_block, columns), groups, batch
    _key_gradients[grid](*read, *other, means, *gradients[1:], *numbers, ROWS=most, KEYS=columns, **settings)
    return gradients


@triton.jit
def _query_gradient(  # type: ignore[no-untyped-def]
    query, key, value, gradient, thresholds, first, last, position, blocks, partial, counts, average, result, means,
    width, queries, keys, shared, seen, list_batches, list_heads, scale, scaling, exponent, unit,
    POWER: tl.constexpr, BOUNDED: tl.constexpr, QUERY_BLOCK: tl.constexpr, KEY_BLOCK: tl.constexpr, DIM: tl.constexpr,
    WIDTH: tl.constexpr, VALUE_DIM: tl.constexpr, VALUE_WIDTH: tl.constexpr, PRECISION: tl.constexpr,
    ROWS: tl.constexpr, KEYS: tl.constexpr,
):  # fmt: skip
    """Compute the gradient of a tile of queries, and store for each the mean that the keys' gradients need."""
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
    given = load_rows(gradient + own * VALUE_DIM, row, inside, False, VALUE_DIM, VALUE_WIDTH)
    averaged = load_rows(average + own * VALUE_DIM, row, inside, False, VALUE_DIM, VALUE_WIDTH)
    mean = tl.sum(given.to(tl.float32) * averaged.to(tl.float32), 1)
    tl.store(means + own + row, mean, mask=inside)
    threshold = tl.load(thresholds + own + row, mask=inside, other=float("inf")) * unit
    lowest, highest = row, row
    if BOUNDED:
        bounds = batch.to(tl.int64) * seen + head % seen
        position += bounds * keys
        lowest = tl.load(first + bounds * queries + row, mask=inside, other=0)
        highest = tl.load(last + bounds * queries + row, mask=inside, other=-1)
    added = tl.zeros((ROWS, WIDTH), tl.float32)
    for whole in tl.static_range(2):
        begin, finish = (checked, end) if whole else (0, checked)
        for at in range(begin, finish, KEYS):
            token, there = tokens_of(blocks, at, finish, keys, whole, KEY_BLOCK, KEYS)
            k = load_rows(key, token, there, whole, DIM, WIDTH)
            scores = scores_of(q, k, scale, lowest, highest, position, token, there, whole, BOUNDED, PRECISION)
            _, slope = shares_of(scores - threshold[:, None], exponent, POWER)
            v = load_rows(value, token, there, whole, VALUE_DIM, VALUE_WIDTH)
            change = tl.dot(given, tl.trans(v), input_precision=PRECISION)
            slope *= change - mean[:, None]
            added = tl.dot(slope.to(k.dtype), k, added, input_precision=PRECISION)
    store_rows(result + own * DIM, row, inside, added * scaling, DIM, WIDTH)


@triton.jit
def _key_gradients(  # type: ignore[no-untyped-def]
    query, key, value, gradient, thresholds, first, last, position, blocks, starts, means, key_result, value_result,
    queries, keys, shared, seen, list_batches, list_heads, scale, scaling, exponent, unit,
    POWER: tl.constexpr, BOUNDED: tl.constexpr, QUERY_BLOCK: tl.constexpr, KEY_BLOCK: tl.constexpr, DIM: tl.constexpr,
    WIDTH: tl.constexpr, VALUE_DIM: tl.constexpr, VALUE_WIDTH: tl.constexpr, PRECISION: tl.constexpr,
    ROWS: tl.constexpr, KEYS: tl.constexpr,
):  # fmt: skip
    """Compute the gradients of a tile of keys and their values, from all heads that share them."""
    block, token, inside = rows_of(tl.program_id(0), keys, KEY_BLOCK, KEYS)
    group, batch = tl.program_id(1), tl.program_id(2)
    own = (batch.to(tl.int64) * tl.num_programs(1) + group) * keys
    k = load_rows(key + own * DIM, token, inside, False, DIM, WIDTH)
    v = load_rows(value + own * VALUE_DIM, token, inside, False, VALUE_DIM, VALUE_WIDTH)
    key_added, value_added = tl.zeros((KEYS, WIDTH), tl.float32), tl.zeros((KEYS, VALUE_WIDTH), tl.float32)
    for head in range(group * shared, (group + 1) * shared):
        heads = batch.to(tl.int64) * tl.num_programs(1) * shared + head
        line = (batch % list_batches * list_heads + head % list_heads) * tl.cdiv(keys, KEY_BLOCK) + block
        bounds = batch.to(tl.int64) * seen + head % seen
        start, full = tl.load(starts + 2 * line), tl.load(starts + 2 * line + 1)
        checked, end = limits_of(tl.load(starts + 2 * line + 2) - start, full - start, QUERY_BLOCK, ROWS)
        for whole in tl.static_range(2):
            begin, finish = (checked, end) if whole else (0, checked)
            for at in range(begin, finish, ROWS):
                row, there = tokens_of(blocks + start, at, finish, queries, whole, QUERY_BLOCK, ROWS)
                q = load_rows(query + heads * queries * DIM, row, there, whole, DIM, WIDTH)
                scores = tl.dot(k, tl.trans(q), input_precision=PRECISION) * scale
                if not whole:
                    pairs = there[None, :] & inside[:, None]
                    if BOUNDED:
                        place = tl.load(position + bounds * keys + token, mask=inside, other=-1)[:, None]
                        lowest = tl.load(first + bounds * queries + row, mask=there, other=0)
                        highest = tl.load(last + bounds * queries + row, mask=there, other=-1)
                        pairs = pairs & (place >= lowest[None, :]) & (place <= highest[None, :])
                    scores = tl.where(pairs, scores, float("-inf"))
                at_rows = heads * queries + row
                if whole:
                    threshold, mean = tl.load(thresholds + at_rows), tl.load(means + at_rows)
                else:
                    threshold = tl.load(thresholds + at_rows, mask=there, other=float("inf"))
                    mean = tl.load(means + at_rows, mask=there, other=0.0)
                share, slope = shares_of(scores - threshold[None, :] * unit, exponent, POWER)
                given = load_rows(gradient + heads * queries * VALUE_DIM, row, there, whole, VALUE_DIM, VALUE_WIDTH)
                value_added = tl.dot(share.to(given.dtype), given, value_added, input_precision=PRECISION)
                change = tl.dot(v, tl.trans(given), input_precision=PRECISION)
                slope *= change - mean[None, :]
                key_added = tl.dot(slope.to(q.dtype), q, key_added, input_precision=PRECISION)
    store_rows(key_result + own * DIM, token, inside, key_added * scaling, DIM, WIDTH)
    store_rows(value_result + own * VALUE_DIM, token, inside, value_added, VALUE_DIM, VALUE_WIDTH)
