from __future__ import annotations

import json
from pathlib import Path

import pytest

from sparse_attention.data.registry import open_dataset, sha256_of, write_receipt
from sparse_attention.errors import InputError

ENTRY = {"kind": "text", "version": "1", "licence": "CC0"}


@pytest.fixture
def receipt(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.txt").write_text("alpha", encoding="utf-8")
    write_receipt(tmp_path / "receipt.json", "toy", ENTRY, {"type": "x"}, tmp_path, [tmp_path / "sub" / "a.txt"])
    return tmp_path / "receipt.json"


def test_a_receipt_gives_back_what_was_written(receipt):
    dataset = open_dataset(receipt)
    assert (dataset.name, dataset.version, dataset.root) == ("toy", "1", receipt.parent)
    assert dataset.files == [receipt.parent / "sub" / "a.txt"]
    assert dataset.receipt["files"][0]["sha256"] == sha256_of(dataset.files[0])
    assert dataset.receipt["licence"] == "CC0"


def test_a_relative_root_moves_with_its_tree(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here/data").mkdir(parents=True)
    (tmp_path / "here/data/a.txt").write_text("a", encoding="utf-8")
    write_receipt(Path("here/r/receipt.json"), "t", ENTRY, {}, Path("here/data"), [Path("here/data/a.txt")])
    (tmp_path / "here").rename(tmp_path / "there")
    assert open_dataset(tmp_path / "there/r/receipt.json").files[0].read_text() == "a"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: file.unlink(), "is missing"),
        (lambda file: file.write_text("alph"), "wrong size: expected 5 bytes, found 4"),
        (lambda file: file.write_text("ALPHA"), "wrong checksum: expected sha256 8ed3f6ad.*, found [0-9a-f]{64}"),
    ],
    ids=["missing", "truncated", "altered"],
)
def test_files_that_changed_are_refused(receipt, change, message):
    file = receipt.parent / "sub" / "a.txt"
    change(file)
    with pytest.raises(InputError, match=message) as error:
        open_dataset(receipt)
    assert str(file) in str(error.value) and str(receipt) in str(error.value)
    assert open_dataset(receipt, verify=False).name == "toy"


@pytest.mark.parametrize("content", ["", "[]", json.dumps({"root": "."})], ids=["empty", "list", "keys missing"])
def test_what_is_no_receipt_is_refused(tmp_path, content):
    (tmp_path / "receipt.json").write_text(content)
    with pytest.raises(InputError, match="not a receipt"):
        open_dataset(tmp_path / "receipt.json")


def test_a_missing_receipt_is_named(tmp_path):
    with pytest.raises(InputError, match="no such receipt"):
        open_dataset(tmp_path / "receipt.json")
