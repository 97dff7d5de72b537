"""Parts of the kernels: tiles of tokens that a walk reads, their scores, and powers of what exceeds a threshold."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def rows_of(tile, queries, QUERY_BLOCK: tl.constexpr, ROWS: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return the block of queries that a tile belongs to, its queries, and which of them there are."""
    TILES: tl.constexpr = (QUERY_BLOCK + ROWS - 1) // ROWS
    block = tile // TILES
    row = block * QUERY_BLOCK + tile % TILES * ROWS + tl.arange(0, ROWS)
    return block, row, row < tl.minimum((block + 1) * QUERY_BLOCK, queries)


@triton.jit
def limits_of(listed, partial, SIZE: tl.constexpr, TILE: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return up to which token of a walk pairs must be checked, and where the walk ends; whole tiles lie between."""
    end = listed * SIZE
    return end - (end - partial * SIZE) // TILE * TILE, end


@triton.jit
def tokens_of(  # type: ignore[no-untyped-def]
    blocks, at, end, tokens, WHOLE: tl.constexpr, SIZE: tl.constexpr, TILE: tl.constexpr
):
    """Return the tokens of a tile of a walk over blocks, and which of them there are; of a whole tile all."""
    place = at + tl.arange(0, TILE)
    there = place < end
    if SIZE % TILE == 0:
        token = tl.load(blocks + at // SIZE) * SIZE + at % SIZE + tl.arange(0, TILE)
    elif WHOLE:
        token = tl.load(blocks + place // SIZE) * SIZE + place % SIZE
    else:
        token = tl.load(blocks + place // SIZE, mask=there, other=0) * SIZE + place % SIZE
    return token, there & (token < tokens)


@triton.jit
def load_rows(  # type: ignore[no-untyped-def]
    base, row, there, WHOLE: tl.constexpr, DIM: tl.constexpr, WIDTH: tl.constexpr
):
    """Load rows of DIM numbers, zeros behind them and for rows that are not there; with WHOLE all are there."""
    column = tl.arange(0, WIDTH)
    places = base + row[:, None] * DIM + column[None, :]
    if WHOLE and DIM == WIDTH:
        rows = tl.load(places)
    elif WHOLE:
        rows = tl.load(places, mask=(column < DIM)[None, :], other=0.0)
    else:
        rows = tl.load(places, mask=there[:, None] & (column < DIM)[None, :], other=0.0)
    return rows


@triton.jit
def store_rows(base, row, inside, rows, DIM: tl.constexpr, WIDTH: tl.constexpr):  # type: ignore[no-untyped-def]
    """Store rows of DIM numbers."""
    column = tl.arange(0, WIDTH)
    places = base + row[:, None] * DIM + column[None, :]
    tl.store(places, rows.to(base.dtype.element_ty), mask=inside[:, None] & (column < DIM)[None, :])


@triton.jit
def scores_of(  # type: ignore[no-untyped-def]
    q, k, scale, first, last, position, token, there,
    WHOLE: tl.constexpr, BOUNDED: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Return the scores of queries and keys, -inf for pairs that do not count."""
    scores = tl.dot(q, tl.trans(k), input_precision=PRECISION) * scale
    if not WHOLE:
        seen = there[None, :]
        if BOUNDED:
            place = tl.load(position + token, mask=there, other=-1)
            seen = seen & (place[None, :] >= first[:, None]) & (place[None, :] <= last[:, None])
        scores = tl.where(seen, scores, float("-inf"))
    return scores


@triton.jit
def shares_of(excess, exponent, POWER: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return probabilities ``p`` and ``p ** (2 - alpha)`` of scores less their threshold; see `Problem` for POWER."""
    if POWER == 0:
        share = tl.exp2(excess)
        slope = share
    elif POWER == -1:
        over = tl.maximum(excess, 0.0)
        slope = tl.where(over > 0, tl.exp2((exponent - 1) * tl.log2(tl.where(over > 0, over, 1.0))), 0.0)
        share = slope * over
    else:
        over = tl.maximum(excess, 0.0)
        slope = over
        if POWER == 1:
            slope = (over > 0).to(tl.float32)
        for _ in tl.static_range(POWER - 2):
            slope = slope * over
        share = slope * over
    return share, slope
