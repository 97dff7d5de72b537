from __future__ import annotations

import collections
from dataclasses import replace

import pytest

from sparse_attention.data.splits import SPLITS, Shares, split_documents
from sparse_attention.errors import InputError

SHARES = Shares(0.7, 0.15, 0.15, seed=0)


def ids(count: int, first: int = 0) -> list[str]:
    return [str(number) for number in range(first, first + count)]


def test_shares_are_met_on_average():
    counts = collections.Counter(split_documents(ids(10_000), SHARES))
    assert counts["train"] == pytest.approx(7000, abs=150)
    assert counts["validation"] == pytest.approx(1500, abs=120)


@pytest.mark.parametrize("count", [30, 100, 1000])
def test_adding_documents_moves_no_other_document(count):
    before = split_documents(ids(count), SHARES)
    assert split_documents(ids(2 * count), SHARES)[:count] == before
    assert split_documents(ids(2 * count)[::-1], SHARES)[::-1][:count] == before


@pytest.mark.parametrize("count", [3, 4, 7])
def test_no_split_is_empty(count):
    for seed in range(20):
        assert set(split_documents(ids(count), Shares(0.98, 0.01, 0.01, seed))) == set(SPLITS), seed


def test_the_seed_decides():
    assert split_documents(ids(50), SHARES) != split_documents(ids(50), replace(SHARES, seed=1))


def test_a_share_of_zero_gets_no_documents():
    shares = Shares(0.5, 0.5, 0, seed=0)
    assert set(split_documents(ids(200), shares)) == {"train", "validation"}
    assert set(split_documents(ids(2), shares)) == {"train", "validation"}


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_documents_are_refused(count):
    with pytest.raises(InputError, match=f"{count} documents cannot fill 3 splits"):
        split_documents(ids(count), SHARES)
