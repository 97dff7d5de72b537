from __future__ import annotations

import os
from pathlib import Path

import pytest

from sparse_attention.data import selected

ONE, TWO = "resources/one/1/receipt.json", "resources/two/1/receipt.json"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for receipt in (ONE, TWO):
        Path(receipt).parent.mkdir(parents=True)
        Path(receipt).touch()
        os.utime(receipt, (1, 1))


def test_each_change_of_a_names_receipt_is_found_also_back_to_an_earlier_one():
    assert selected.replaced({"corpus wiki": ONE}) == {}
    selected.record({"corpus wiki": ONE})
    assert selected.replaced({"corpus wiki": ONE, "corpus other": TWO}) == {}
    assert selected.replaced({"corpus wiki": TWO}) == {TWO: ONE}
    selected.record({"corpus wiki": TWO})
    assert selected.replaced({"corpus wiki": TWO}) == {}
    assert selected.replaced({"corpus wiki": ONE}) == {ONE: TWO}


def test_other_names_stay():
    selected.record({"corpus wiki": ONE})
    selected.record({"corpus other": TWO})
    assert selected.replaced({"corpus wiki": TWO}) == {TWO: ONE}


def test_a_receipt_that_replaces_another_becomes_newer_than_the_others_results():
    selected.record({"corpus wiki": ONE})
    assert Path(ONE).stat().st_mtime == 1
    selected.record({"corpus wiki": TWO})
    assert Path(TWO).stat().st_mtime > 1 and Path(ONE).stat().st_mtime == 1


@pytest.mark.parametrize("content", ["", "[]", "{", "\udcff"], ids=ascii)
def test_a_damaged_record_is_ignored(content):
    selected.FILE.write_text(content, errors="surrogateescape")
    assert selected.replaced({"corpus wiki": TWO}) == {}
    selected.record({"corpus wiki": ONE})
    assert selected.replaced({"corpus wiki": TWO}) == {TWO: ONE}
