"""The table of times: every length, and dense attention beside every predictor; the times are not looked at."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest
import torch

import time_attention
from sparse_attention.attention_timing.table import COLUMNS
from sparse_attention.block_sparse.dispatch import use_kernels
from sparse_attention.files.tables import read_table

OPTIONS = {
    "lengths": [16, 19, 4096], "kept": [0.5], "block": 16, "predictors": ["window", "fixed"], "computed": ["entmax"],
    "threads": 1, "repeats": 1,
}  # fmt: skip


@pytest.fixture
def times(small_stores, tmp_path):
    """Return a function that runs the script and gives its table; threads and kernels are as before afterwards."""
    threads = torch.get_num_threads()

    def run(kernels="auto", **changes):
        params = SimpleNamespace(options=OPTIONS | changes, kernels=kernels)
        given, output = SimpleNamespace(qk=str(small_stores / "qk/validation")), SimpleNamespace(timings="")
        output.timings = str(tmp_path / "timings.tsv")
        time_attention.main(SimpleNamespace(input=given, output=output, params=params))
        return read_table(output.timings, COLUMNS)

    yield run
    torch.set_num_threads(threads)
    use_kernels("auto")


def test_every_method_is_timed_at_every_length_that_the_store_fills(times, caplog):
    with caplog.at_level(logging.INFO, logger="sparse_attention"):
        table = times()
    assert "holds 19 tokens: 4096 tokens are left out" in caplog.text
    assert "K-means" not in caplog.text and "Fixed buckets, entmax, order of buckets" in caplog.text
    assert tuple(table.columns) == COLUMNS
    methods = [("sdpa", "tokens"), ("dense", "tokens"), ("dense", "tokens"), ("window", "tokens"), ("fixed", "tokens"),
               ("fixed", "buckets")]  # fmt: skip
    found = table[["length", "method", "order"]].to_numpy().tolist()
    assert found == [[length, *pair] for length in (16, 19) for pair in methods]
    assert (table["total_ms"] > 0).all() and (table["threads"] == 1).all()
    assert set(table["label"]) == {"Dense softmax (SDPA)", "Dense", "Window", "Fixed buckets"}


def test_the_kernel_is_that_of_the_configuration(times):
    table = times("reference", lengths=[16], computed=["softmax", "entmax"])
    assert set(table["kernel"]) == {"reference"}
    assert table[table["block"] > 0]["computed"].value_counts().to_dict() == {"softmax": 3, "entmax": 3}


def test_a_store_that_fills_no_length_is_timed_as_a_whole(times):
    assert set(times(lengths=[64, 128])["length"]) == {19}
