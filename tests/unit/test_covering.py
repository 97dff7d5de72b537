"""The helpers that choose combinations of parameters and name them."""

from __future__ import annotations

from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
import torch

from covering import all_pairs
from readable_ids import readable

AXES = {"shape": {"a": (1, 2), "b": (3, 4), "c": (5, 6)}, "size": [1, 2, 4, 100], "tied": {"no": False, "yes": True}}


def rows(mark):
    return [dict(zip(mark.args[0], param.values, strict=True)) for param in mark.args[1]]


def pairs(found):
    return {pair for row in found for pair in combinations(row.items(), 2)}


def test_any_two_values_meet_in_few_rows():
    found = rows(all_pairs(**AXES))
    values = [axis.values() if isinstance(axis, dict) else axis for axis in AXES.values()]
    assert pairs(found) == pairs(dict(zip(AXES, row, strict=True)) for row in product(*values))
    assert 12 <= len(found) <= 14


def test_ids_are_those_of_the_values_and_the_order_is_the_same_again():
    names = [param.id for param in all_pairs(**AXES).args[1]]
    assert names[0] == "a-1-no" and len(set(names)) == len(names)
    assert names == [param.id for param in all_pairs(**AXES).args[1]]


def test_what_does_not_exist_is_left_out_and_what_is_asked_for_is_there():
    found = rows(all_pairs(
        **AXES, allowed=lambda shape, size, tied: not tied or size > 2, also=[{"shape": "c", "size": "1"}]
    ))  # fmt: skip
    assert found[0] == {"shape": (5, 6), "size": 1, "tied": False}
    assert all(row["size"] > 2 for row in found if row["tied"])
    assert {(row["size"], row["tied"]) for row in found} == {(1, False), (2, False), *product((4, 100), (False, True))}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", "empty"),
        ("a\n  b", "a b"),
        ("é", "\\xe9"),
        ("x" * 100, "x" * 60 + "..."),
        (None, "None"),
        ({"a": [1, {2, 1}]}, "{a: [1, {1, 2}]}"),
        (torch.float32, "float32"),
        (np.int64(3), "3"),
        (Path("/tmp/a.txt"), "a.txt"),
        (torch.Tensor.abs_, "abs_"),
        (KeyError("a"), "KeyError('a')"),
    ],
    ids="empty spaces accent long none nested dtype number path method error".split(),
)
def test_a_value_is_named_as_it_is_written(value, text):
    assert readable(value, "value").endswith(text)


@pytest.mark.parametrize("value", [lambda: 0, object()], ids=["lambda", "object"])
def test_what_has_no_name_must_be_given_one(value):
    with pytest.raises(ValueError, match="give it an explicit id"):
        readable(value, "value")
