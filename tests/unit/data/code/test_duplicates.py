"""Exact repeats are found, and near repeats equal those of a comparison of all pairs."""

from __future__ import annotations

import random

import numpy as np
import pytest

from sparse_attention.data.code import duplicates

WORDS = "if else return x y z ( ) = + call open".split()


def by_pairs(sources, similarity):
    """Compare every text with all before it that stay."""
    sets, kept, left_out = [set(duplicates._shingles(source)) for source in sources], [], []
    for place, own in enumerate(sets):
        again = any(len(own & sets[k]) / len(own | sets[k]) >= similarity for k in kept)
        left_out.append(again)
        if not again:
            kept.append(place)
    return left_out


def texts(count, seed=0):
    """Return texts, two thirds of them changed copies of an earlier one."""
    rng, found = random.Random(seed), []
    for number in range(count):
        words = [rng.choice(WORDS) for _ in range(rng.randint(3, 60))]
        if number % 3:
            words = rng.choice(found).split()
            for _ in range(rng.choice([0, 1, 1, 4])):
                words[rng.randrange(len(words))] = rng.choice(WORDS)
        found.append(" ".join(words))
    return found


@pytest.mark.parametrize("similarity", [0.3, 0.7, 1.0])
@pytest.mark.parametrize("rows", [7, 500], ids=["in pieces", "at once"])
def test_near_repeats_equal_those_of_a_comparison_of_all_pairs(similarity, rows, monkeypatch):
    monkeypatch.setattr(duplicates, "ROWS_AT_ONCE", rows)
    sources = texts(60)
    expected = by_pairs(sources, similarity)
    assert duplicates.near(sources, similarity).tolist() == expected
    assert 0 < sum(expected) < len(sources)


def test_a_text_is_not_compared_with_texts_that_are_left_out():
    first = " ".join(f"a{n}" for n in range(30))
    second, third = first.replace("a29", "b29 b30"), first.replace("a29", "b29 b30 b31 b32 b33")
    assert duplicates.near([first, second, third], 0.85).tolist() == [False, True, False]
    assert duplicates.near([second, third], 0.85).tolist() == [False, True]


def test_layout_makes_no_difference_and_order_does():
    sources = ["f(a, b)", "f ( a,\n  b )", "f(b, a)", "f(a, b)"]
    assert duplicates.exact(sources).tolist() == [False, True, False, True]


def test_no_texts_have_no_repeats():
    assert duplicates.near([], 0.8).tolist() == duplicates.exact([]).tolist() == np.zeros(0).tolist()
