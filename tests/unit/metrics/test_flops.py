"""The closed forms against counts of every product, and what must hold of totals."""

from __future__ import annotations

import numpy as np
import pytest

from sparse_attention.metrics.flops import LayerShape, layer_multiply_adds, pruned_multiply_adds

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
def test_logits_need_lean_layers_and_of_the_last_one_cls_alone(window):
    shape, lengths, kept = LayerShape(HIDDEN, WIDE, window), [9, 20], np.array([[7, 20], [2, 11], [1, 5]])
    layers = [counted(9, 7, window, True) + counted(7, 2, window, True)]
    layers += [counted(20, 20, window, True) + counted(20, 11, window, True)]
    assert pruned_multiply_adds(shape, lengths, kept, HEADS).tolist() == [
        whole + counted_for_cls(entering) for whole, entering in zip(layers, (2, 11), strict=True)
    ]


def counted_for_cls(n: int) -> int:
    """Count by loops what CLS's state takes, whose query is folded into the keys' weights."""
    total = linear(1, HIDDEN, HIDDEN)
    for _ in range(HEADS):
        total += linear(1, HEAD_DIM, HIDDEN) + linear(1, HIDDEN, HEAD_DIM) + sum(2 * HIDDEN for _ in range(n))
    return total + linear(1, HIDDEN, HIDDEN) + linear(1, HIDDEN, WIDE) + linear(1, WIDE, HIDDEN)


def test_what_the_last_layer_leaves_costs_nothing():
    shape = LayerShape(HIDDEN, WIDE, 4)
    one, other = (pruned_multiply_adds(shape, [9], [[7], [last]], HEADS) for last in (7, 1))
    assert one == other < layer_multiply_adds(shape, 9, 9) * 2
