"""The exported data set: every file tells the same of all functions, and other rules can read it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from pyarrow import parquet

import export_pruned
import pruned_code
from sparse_attention.data.code.functions import Intake, read_functions
from sparse_attention.data.code.readers.table import Table
from sparse_attention.data.code.tokens import CodeTokens
from sparse_attention.data.splits import SPLITS

FUNCTIONS = pruned_code.functions()


def export(folder, final):
    """Run the script with a model whose thresholds end at `final`; return what it was given and where it wrote."""
    folder.mkdir()
    given = pruned_code.inputs(folder, model=pruned_code.model(final))
    files = {"parquet": "pruned.parquet", "jsonl": "pruned.jsonl", "functions": "functions.parquet", "csv": "csv"}
    output = SimpleNamespace(**{name: str(folder / "out" / file) for name, file in files.items()})
    params = SimpleNamespace(threads=1, device="cpu", batch_size=4)
    export_pruned.main(SimpleNamespace(input=given, output=output, params=params))
    rows = parquet.read_table(output.parquet).to_pylist()
    return SimpleNamespace(input=given, output=output, rows=rows, left=list(read_functions(Path(output.functions))))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    return export(tmp_path_factory.mktemp("export") / "half", 0.5)


def test_rows_are_of_all_functions_and_their_tokens(exported):
    tokens = CodeTokens.load(exported.input.tokens)
    assert [row["function"] for row in exported.rows] == list(range(len(FUNCTIONS)))
    for row, function in zip(exported.rows, FUNCTIONS, strict=True):
        for name in ("split", "label", "project", "path", "rule"):
            assert row[name] == getattr(function, name)
        place = tokens.slice_of(row["function"])
        assert row["token_ids"] == tokens.ids[place].tolist() and row["spans"] == tokens.spans[place].tolist()
        assert len(row["last_layer"]) == len(row["score"]) == len(row["token_ids"]) and 0 < row["probability"] < 1
        assert row["last_layer"][0] == 2, "the first token is never pruned"
        words = [function.source[start:end] for start, end in row["spans"]]
        lasting = [(word, last) for word, last in zip(words, row["last_layer"], strict=True) if word]
        left = [word for word, last in lasting if last == max(last for _, last in lasting)]
        assert "".join(row["functionSource"].split()) == "".join(left)
    assert {last for row in exported.rows for last in row["last_layer"]} == {0, 1, 2}


def test_json_lines_hold_the_rows_of_parquet(exported):
    lines = Path(exported.output.jsonl).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == exported.rows


def test_functions_can_be_read_as_those_of_a_code_corpus(exported):
    assert exported.left == [
        replace(function, source=row["functionSource"], lines=())
        for function, row in zip(FUNCTIONS, exported.rows, strict=True)
    ]
    assert any(len(a.source) < len(b.source) for a, b in zip(exported.left, FUNCTIONS, strict=True))


def test_csv_files_can_be_read_as_tables(exported):
    folder = Path(exported.output.csv)
    own = {split: [folder / f"{split}.csv"] for split in SPLITS}
    found = list(Table(project_column="project").read(own, Intake("drop")))
    expected = [replace(one, path="", rule="") for split in SPLITS for one in exported.left if one.split == split]
    assert found == [one for one in expected if one.source.strip()] and found
    names = {"train": "train", "validation": "dev", "test": "test"}
    original = {split: [folder / "original" / f"{name}_pruned.csv"] for split, name in names.items()}
    same = list(Table(text_column="code").read(original, Intake("drop")))
    assert same == [replace(one, project="") for one in found]
    assert len(list(folder.rglob("*"))) == 7


def test_without_thresholds_all_that_was_read_survives(tmp_path):
    done = export(tmp_path / "all", 0.0)
    read = [one.source[: max(end for _, end in row["spans"])] for one, row in zip(FUNCTIONS, done.rows, strict=True)]
    assert [row["functionSource"] for row in done.rows] == [one.source for one in done.left] == read
    assert any(len(text) < len(one.source) for text, one in zip(read, FUNCTIONS, strict=True)), "some were cut"


def test_every_function_keeps_some_text(tmp_path):
    """Only CLS and the most attended token of the last layer survive, and that may be CLS."""
    done = export(tmp_path / "none", 1.0)
    assert all(row["last_layer"].count(2) <= 2 for row in done.rows)
    assert any(max(row["last_layer"][1:-1]) < 2 for row in done.rows), "none of its text survives"
    assert all(
        one.source.strip() and one.source == row["functionSource"]
        for one, row in zip(done.left, done.rows, strict=True)
    )
