"""The closed forms against counts of every product, and what must hold of totals."""

from __future__ import annotations

import numpy as np
import pytest

from sparse_attention.metrics.flops import LayerShape, layer_multiply_adds, total_cost

HEADS, HEAD_DIM, WIDE = 2, 3, 10
HIDDEN = HEADS * HEAD_DIM


def linear(rows: int, inputs: int, outputs: int) -> int:
    return sum(1 for _ in range(rows) for _ in range(outputs) for _ in range(inputs))


def counted(n: int, left: int, window: int | None, lean: bool) -> int:
    """Count by loops: projections, then for each head and query its keys, then the feed-forward network."""
    total = 3 * linear(n, HIDDEN, HIDDEN) + linear(left if lean else n, HIDDEN, HIDDEN)
    keys = n if window is None else min(2 * (window // 2) + 1, n) + 1
    for _ in range(HEADS):
        for _ in range(n):
            total += sum(2 * HEAD_DIM for _ in range(keys))  # logits, and weighted values
    if window is not None:
        total += linear(1, HIDDEN, HIDDEN)  # CLS's global query
        if lean:
            for _ in range(HEADS):  # the query goes through the keys' weights, the mixture through the values'
                total += linear(1, HEAD_DIM, HIDDEN) + linear(1, HIDDEN, HEAD_DIM)
                total += sum(2 * HIDDEN for _ in range(n))
        else:
            total += 2 * linear(n, HIDDEN, HIDDEN)
            total += sum(2 * HEAD_DIM for _ in range(HEADS) for _ in range(n))
    return total + linear(left, HIDDEN, WIDE) + linear(left, WIDE, HIDDEN)


@pytest.mark.parametrize("lean", [False, True], ids=["library", "lean"])
@pytest.mark.parametrize("window", [None, 4, 40])
@pytest.mark.parametrize(("n", "left"), [(1, 1), (5, 3), (30, 30), (30, 1)])
def test_equals_a_count_of_every_product(n, left, window, lean):
    shape = LayerShape(HIDDEN, WIDE, window, lean=lean)
    assert layer_multiply_adds(shape, n, left, HEADS) == counted(n, left, window, lean)


def test_equals_the_usual_formulas_at_four_times_the_width():
    d, n, left, window = 768, 1000, 400, 512
    full = 2 * d * n**2 + 4 * d**2 * n + 8 * d**2 * left
    assert layer_multiply_adds(LayerShape(d, 4 * d), n, left) == full
    local = 4 * d**2 * n + 2 * d**2 * n + d**2 + 2 * d * n * (513 + 1) + 2 * d * n + 8 * d**2 * left
    assert layer_multiply_adds(LayerShape(d, 4 * d, window), n, left) == local


@pytest.mark.parametrize("window", [None, 4])
def test_totals_add_up_layers_and_sequences(window):
    shape, lengths, kept = LayerShape(HIDDEN, WIDE, window), [9, 20], np.array([[7, 20], [2, 11], [1, 5]])
    total = counted(9, 7, window, False) + counted(7, 2, window, False) + counted(2, 1, window, False)
    total += counted(20, 20, window, False) + counted(20, 11, window, False) + counted(11, 5, window, False)
    cost = total_cost(shape, lengths, kept)
    assert cost.total == total
    assert cost.unpruned == 3 * (counted(9, 9, window, False) + counted(20, 20, window, False))
    assert cost.relative == pytest.approx(total / cost.unpruned)


def test_keeping_everything_costs_what_is_unpruned():
    assert total_cost(LayerShape(HIDDEN, WIDE, 4), [9, 20], [[9, 20]] * 3).relative == 1
