"""The table of timings: every way at every batch size, on the same functions, against what is not pruned."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import pruned_code
import time_pruning
from sparse_attention.data.code.tokens import CodeTokens
from sparse_attention.files.tables import read_table
from sparse_attention.pruning.timing import COLUMNS, WAYS


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """Return the script's input; `published` can only hide tokens."""
    models = {"dense": pruned_code.model(0.0), "hard": pruned_code.model(), "published": pruned_code.published()}
    return pruned_code.inputs(tmp_path_factory.mktemp("time"), **models)


def times(given, folder, functions=99, batch_sizes=(1, 4), hard="hard"):
    """Run the script and return its table."""
    options = {"functions": functions, "batch_sizes": list(batch_sizes), "repeats": 2}
    params = SimpleNamespace(threads=1, device="cpu", options=options)
    models = SimpleNamespace(tokens=given.tokens, dense=given.dense, hard=getattr(given, hard))
    output = SimpleNamespace(timings=str(folder / "timings.tsv"))
    time_pruning.main(SimpleNamespace(input=models, output=output, params=params))
    return read_table(output.timings, COLUMNS)


def test_every_way_is_timed_at_every_batch_size(given, tmp_path):
    table = times(given, tmp_path)
    assert tuple(table.columns) == COLUMNS and set(table["functions"]) == {6}
    assert table[["batch_size", "way"]].to_numpy().tolist() == [[size, way] for size in (1, 4) for way in WAYS]
    taken = table["milliseconds_per_function"]
    assert (taken > 0).all() and (table["functions_per_second"] * taken).tolist() == pytest.approx([1000] * 8, rel=1e-4)
    for _, own in table.groupby("batch_size"):
        own = own.set_index("way")
        assert own.loc["unpadded", "speedup"] == 1
        speedups = own.loc["unpadded", "milliseconds_per_function"] / own["milliseconds_per_function"]
        assert own["speedup"].tolist() == pytest.approx(speedups.tolist(), rel=1e-4)


@pytest.mark.parametrize("functions", [1, 4])
def test_only_so_many_test_functions_are_timed(functions, given, tmp_path):
    table, tokens = times(given, tmp_path, functions, [2]), CodeTokens.load(given.tokens)
    chosen = tokens.of("test")[:functions]
    assert set(table["functions"]) == {functions} and set(table["tokens"]) == {int(tokens.lengths[chosen].sum())}


def test_what_can_only_hide_tokens_is_not_timed_without_them(given, tmp_path):
    table = times(given, tmp_path, 2, [1], "published")
    assert table["way"].tolist() == ["padded", "unpadded", "masked"]
