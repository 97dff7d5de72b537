"""The sentences on real time: from which length on predicting pays, and where it does not."""

from __future__ import annotations

import pandas as pd
import pytest

from sparse_attention.files.tables import read_table
from sparse_attention.reporting import timings


@pytest.fixture(scope="module")
def table(tables):
    return read_table(tables / "attention_timings.tsv")


def text_of(table):
    return " ".join(timings.attention(table)).replace("\N{NO-BREAK SPACE}", " ")


def test_each_predictor_is_named_with_its_break_even(table):
    text = text_of(table)
    assert text.startswith(
        "Entmax attention over predicted blocks of 64 × 64 tokens was timed on this machine at 256, 1,024 and 4,096 "
        "tokens, prediction included (2 threads, compiled kernel); each predictor keeps about 10 % of the blocks where "
        "it can."
    )
    assert (
        "Below 1,024 tokens predicting does not pay: no predictor is faster than dense softmax attention (SDPA). It "
        "pays from 1,024 tokens on with Window and from 4,096 tokens on with K-means clusters (which keeps 3.1 %); "
        "with Quest pages (which keeps 40 %) it does not at 4,096 tokens."
    ) in text
    assert "Dense entmax attention, without any prediction, is faster than SDPA from 1,024 tokens on." in text
    assert "Against our own dense entmax attention, predicting pays from 256 tokens on with Window" in text
    assert text.endswith(
        "At 4,096 tokens Window is fastest of the predictors, 13.3 times as fast as SDPA with 10 % of the blocks kept; "
        "40 % of its time is for predicting and listing blocks."
    )


def test_predictions_that_never_pay_are_said_to(table):
    slow = table.assign(total_ms=table["total_ms"].where(table["block"] == 0, 1e4))
    text = text_of(slow)
    assert (
        "Predicting does not pay: no predictor is faster than dense softmax attention (SDPA) at 4,096 tokens." in text
    )
    assert "no predictor is faster than our own dense entmax attention at 4,096 tokens." in text


def test_a_predictor_that_is_faster_at_small_lengths_only_is_no_proof(table):
    early = (table["method"] == "quest") & (table["length"] == 256)
    text = text_of(table.assign(total_ms=table["total_ms"].where(~early, 0.01)))
    assert "Against dense softmax attention (SDPA), predicting pays reliably from 1,024 tokens on with Window" in text
    assert "Below 1,024 tokens predicting does not pay" not in text


def test_dense_entmax_may_be_slower(table):
    dense = (table["method"] == "dense") & (table["computed"] == "entmax")
    text = text_of(table.assign(total_ms=table["total_ms"].where(~dense, 1e4)))
    assert "without any prediction, is not faster than SDPA at 4,096 tokens" in text


def test_several_models_are_told_apart_and_shares_reduced_to_the_smallest(tables_of_seeds):
    table = read_table(tables_of_seeds / "attention_timings.tsv")
    more = pd.concat([table, table[table["block"] > 0].assign(asked=0.5)])
    assert timings.attention(more) == timings.attention(table)
    assert [text.split(":")[0] for text in timings.attention(table) if text.startswith("For ")] == [
        "For entmax 1.5", "For entmax 2",
    ]  # fmt: skip


def test_softmax_is_reported_where_entmax_was_not_timed(table):
    only = table[(table["block"] == 0) | (table["computed"] == "softmax")]
    assert text_of(only).startswith("Softmax attention over predicted blocks")
