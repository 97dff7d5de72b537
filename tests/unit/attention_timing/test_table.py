"""The break-even: from which measured length on a method takes less time than dense attention."""

from __future__ import annotations

import pandas as pd
import pytest

from sparse_attention.attention_timing.table import break_even, label_of

LENGTHS = (64, 128, 256, 512, 1024)


def rows_of(method, times, computed="entmax", block=16, **others):
    point = {"method": method, "order": "tokens", "computed": computed, "block": block, "asked": 0.1, **others}
    return [
        {**point, "length": length, "kept": 64 / length, "total_ms": time, "sdpa_ms": 5.0}
        for length, time in zip(LENGTHS, times, strict=True)
    ]


def table(*parts):
    # lengths in no order: the measured ones count, not the rows
    return pd.DataFrame([row for part in parts for row in part]).sample(frac=1, random_state=0)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ((9, 1, 9, 1, 1), 512),
        ((9, 9, 9, 9, 9), None),
        ((1, 1, 1, 1, 1), 64),
        ((1, 1, 9, 9, 9), None),
        ((9, 9, 9, 5, 1), 1024),
        ((9, 9, 9, 9, 5), None),
    ],
    ids=["with an exception", "never", "always", "at small lengths only", "a tie before", "a tie at the end"],
)
def test_a_method_pays_from_the_length_on_after_which_it_is_always_faster(times, expected):
    found = break_even(table(rows_of("quest", times))).iloc[0]
    assert (None if pd.isna(found["faster_than_sdpa"]) else found["faster_than_sdpa"]) == expected
    assert pd.isna(found["faster_than_entmax"]), "dense entmax was not timed"
    assert found["lengths"] == 5 and found["kept"] == 64 / 1024


def test_dense_entmax_is_compared_with_at_each_length():
    dense = rows_of("dense", (1, 2, 3, 4, 6), block=0)
    found = break_even(table(dense, rows_of("quest", (2, 2, 2, 2, 2)), rows_of("window", (9, 9, 9, 9, 9))))
    found = found.set_index("method")[["faster_than_sdpa", "faster_than_entmax"]]
    assert found.loc["quest"].tolist() == [64, 256], "a tie at 128 tokens is not faster"
    assert found.loc["window"].isna().all()
    assert found.loc["dense"].isna().all(), "it takes longer than SDPA at 1024 tokens, and is not faster than itself"


def test_orders_shares_and_models_are_kept_apart():
    fast, slow = (1,) * 5, (9,) * 5
    parts = [
        rows_of("kmeans", fast, order="buckets"), rows_of("kmeans", slow), rows_of("kmeans", fast, asked=0.5),
        rows_of("kmeans", fast, computed="softmax"),
    ]  # fmt: skip
    found = break_even(table(*parts)).set_index(["order", "asked", "computed"])["faster_than_sdpa"]
    assert found["buckets", 0.1, "entmax"] == found["tokens", 0.5, "entmax"] == found["tokens", 0.1, "softmax"] == 64
    assert pd.isna(found["tokens", 0.1, "entmax"])
    models = {"entmax~1.5": (2,) * 5, "entmax~2": (0.5,) * 5}
    several = pd.concat([
        table(rows_of("dense", dense, block=0), rows_of("quest", fast)).assign(attention=name, seed=1)
        for name, dense in models.items()
    ])  # fmt: skip
    found = break_even(several).set_index(["attention", "method"])["faster_than_entmax"]
    assert found["entmax~1.5", "quest"] == 64 and pd.isna(found["entmax~2", "quest"])


def test_other_rows_without_blocks_are_left_out():
    found = break_even(table(rows_of("sdpa", (5,) * 5, block=0), rows_of("dense, with backward", (1,) * 5, block=0)))
    assert found.empty


@pytest.mark.parametrize(
    ("method", "label"), [("sdpa", "Dense softmax (SDPA)"), ("kmeans", "K-means clusters"), ("given", "given")],
    ids=["dense", "predictor", "other"],
)  # fmt: skip
def test_methods_have_names_for_readers(method, label):
    assert label_of(method) == label
