"""Functions are written and read back; functions left out are counted; only 0 and 1 are labels."""

from __future__ import annotations

import pandas as pd
import pytest

from sparse_attention.data.code.functions import COLUMNS, Function, Intake, label_of, read_functions, write_functions
from sparse_attention.errors import InputError

FUNCTIONS = [
    Function("def f():\n    return 'ä\t\"\\n'", 1, "p", "a/b.py", "B602,B603", (2, 1), "train"),
    Function("int main() {}", 0),
]


def test_functions_are_read_back_as_they_were_written(tmp_path):
    write_functions(FUNCTIONS, tmp_path / "f.parquet")
    assert list(read_functions(tmp_path / "f.parquet")) == FUNCTIONS
    frame = pd.read_parquet(tmp_path / "f.parquet")
    assert tuple(frame.columns) == COLUMNS and frame["label"].tolist() == [1, 0]


def test_a_file_may_have_no_functions(tmp_path):
    write_functions([], tmp_path / "f.parquet")
    assert list(read_functions(tmp_path / "f.parquet")) == []


@pytest.mark.parametrize("content", [None, b"no parquet"], ids=["missing", "damaged"])
def test_a_file_of_another_kind_is_refused(content, tmp_path):
    if content:
        (tmp_path / "f.parquet").write_bytes(content)
    with pytest.raises(InputError, match=r"f\.parquet"):
        list(read_functions(tmp_path / "f.parquet"))


def test_a_parquet_file_without_the_columns_is_refused(tmp_path):
    pd.DataFrame({"label": [1]}).to_parquet(tmp_path / "f.parquet")
    with pytest.raises(InputError, match="columns functionSource, project.* are missing"):
        list(read_functions(tmp_path / "f.parquet"))


@pytest.mark.parametrize(
    ("value", "label"),
    [(0, 0), (1, 1), (True, 1), (False, 0), ("1", 1), (" 0 ", 0), ("True", 1), ("false", 0)]
    + [(value, None) for value in (2, -1, 0.0, 1.0, "0.0", "yes", "", None, [1])],
    ids=repr,
)
def test_only_0_and_1_are_labels(value, label):
    assert label_of(value) == label


def test_what_is_left_out_is_counted_most_frequent_first():
    intake = Intake("drop")
    intake.read = 9
    intake.bad("row 1", "empty", "text")
    intake.drop("short", 3)
    intake.drop("never", 0)
    assert intake.table().to_dict("list") == {"reason": ["read", "short", "empty"], "functions": [9, 3, 1]}
    with pytest.raises(InputError, match="row 1: empty; allowed: text .prepare_code.bad_rows"):
        Intake().bad("row 1", "empty", "text")
