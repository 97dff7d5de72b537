"""Tables of every format give the same functions; bad rows are refused or counted."""

from __future__ import annotations

import bz2
import csv
import json

import h5py
import numpy as np
import pandas as pd
import pytest

from sparse_attention.data.code.functions import Function, Intake
from sparse_attention.data.code.readers.table import Table
from sparse_attention.errors import InputError

ROWS = [
    {"functionSource": 'char *s = "a,\\"b\\"";\nreturn s;', "label": 1, "project": "qemu", "cwe": "CWE-119"},
    {"functionSource": "int main() { return 0; }  // ä", "label": 0, "project": "", "cwe": ""},
]
OPTIONS = {"project_column": "project", "rule_column": "cwe"}
EXPECTED = [Function(row["functionSource"], row["label"], row["project"], "", row["cwe"], (), "test") for row in ROWS]


def written(path, rows=ROWS):
    if path.name.endswith((".csv", ".csv.bz2")):
        plain = path.with_name("plain.csv")
        with open(plain, "w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        path.write_bytes(bz2.compress(plain.read_bytes()) if path.suffix == ".bz2" else plain.read_bytes())
    elif path.suffix == ".parquet":
        pd.DataFrame(rows).to_parquet(path)
    elif path.suffix == ".hdf5":
        with h5py.File(path, "w") as file:
            for name in rows[0]:
                values = [row[name] for row in rows]
                file[name] = values if name == "label" else np.array(values, dtype=h5py.string_dtype())
    else:
        path.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n", encoding="utf-8")
    return path


def read(path, intake=None, options=OPTIONS):
    return list(Table(**options).read({"test": [path]}, intake or Intake()))


@pytest.mark.parametrize("name", ["a.csv", "a.csv.bz2", "a.jsonl", "a.json", "a.parquet", "a.hdf5"])
def test_every_format_gives_the_same(name, tmp_path):
    assert read(written(tmp_path / name)) == EXPECTED


def test_draper_vdisc_is_positive_when_any_flag_is(tmp_path):
    flags = ("CWE-119", "CWE-120", "CWE-469", "CWE-476", "CWE-other")
    with h5py.File(tmp_path / "VDISC_test.hdf5", "w") as file:
        file["functionSource"] = np.array(["a();", "b();", "c();"] * 700, dtype=h5py.string_dtype())
        for place, name in enumerate(flags):
            file[name] = np.array([place == 4, False, place in (0, 2)] * 700)
    found = read(tmp_path / "VDISC_test.hdf5", options={"label_columns": list(flags)})
    assert [f.label for f in found] == [1, 0, 1] * 700 and found[-1].source == "c();"


def test_a_byte_order_mark_is_not_part_of_a_column(tmp_path):
    path = written(tmp_path / "a.csv")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read(path) == EXPECTED


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet", "a.hdf5"])
def test_the_error_for_a_missing_column_names_the_columns(name, tmp_path):
    path = written(tmp_path / name)
    with pytest.raises(
        InputError, match=rf"{name}: there is no column func( in line 1)?; its columns: .*functionSource"
    ):
        read(path, options={"text_column": "func"})


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"functionSource": " \n"}, "functionSource is empty"),
        ({"label": 0.5}, r"label is not a label \(0.5\)"),
        ({"label": 2}, r"label is not a label \(2\)"),
        ({"label": None}, r"label is not a label \(null\)"),
    ],
    ids=["empty", "float", "not binary", "missing"],
)
def test_a_row_that_cannot_be_used_is_refused_or_counted(change, problem, tmp_path):
    path = written(tmp_path / "a.jsonl", [ROWS[0], ROWS[1] | change])
    with pytest.raises(InputError, match=f"a.jsonl: row 2: {problem}; allowed: "):
        read(path)
    intake = Intake("drop")
    assert read(path, intake) == EXPECTED[:1]
    assert intake.read == 2 and sum(intake.dropped.values()) == 1


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.hdf5"])
def test_bytes_that_are_not_text_affect_only_their_row(name, tmp_path):
    rows = [dict(ROWS[0], functionSource="caf#"), ROWS[1]]
    path = written(tmp_path / name, rows)
    path.write_bytes(path.read_bytes().replace(b"caf#", b"caf\xe9"))
    with pytest.raises(InputError, match=f"{name}: row 1: functionSource is not UTF-8"):
        read(path)
    intake = Intake("drop")
    assert read(path, intake) == EXPECTED[1:] and dict(intake.dropped) == {"functionSource is not UTF-8": 1}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b'functionSource,label\n"x,1\n', "line 2: not CSV"),
        ("a.csv", b"functionSource,label\nx\n", "line 2: 1 cells for 2 columns"),
        ("a.csv", b"functionSource,label\nx,1,2\n", "line 2: 3 cells for 2 columns"),
        ("a.jsonl", b"{\n", "line 1 is not JSON"),
        ("a.jsonl", b'"x"\n', "line 1 is not an object"),
        ("a.jsonl", b"[1]\n", "element 1 is not an object"),
        ("a.parquet", b"PAR", "not a readable parquet file"),
        ("a.hdf5", b"HDF", "not a readable HDF5 file"),
    ],
)
def test_a_damaged_file_is_refused(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name}: {message}"):
        read(tmp_path / name, options={})


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        (["int", "f", "(", ")"], "functionSource is not text but a list"),
        ({"code": "f()"}, "functionSource is not text but a mapping"),
        (3, "functionSource is not text but a number"),
        (float("nan"), "functionSource is empty"),
    ],
    ids=["list", "mapping", "number", "nan"],
)
def test_a_cell_that_is_not_text_makes_a_bad_row(cell, problem, tmp_path):
    path = written(tmp_path / "a.jsonl", [ROWS[0], ROWS[1] | {"functionSource": cell}])
    with pytest.raises(InputError, match=f"a.jsonl: row 2: {problem}; allowed: "):
        read(path)
    intake = Intake("drop")
    assert read(path, intake) == EXPECTED[:1] and dict(intake.dropped) == {problem: 1}


def test_a_parquet_column_of_lists_is_not_text(tmp_path):
    rows = [dict(row, functionSource=row["functionSource"].split()) for row in ROWS]
    pd.DataFrame(rows).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputError, match="a.parquet: row 1: functionSource is not text but a list"):
        read(tmp_path / "a.parquet")


def test_a_missing_project_is_empty_and_a_number_is_a_name(tmp_path):
    rows = [
        dict(ROWS[1], functionSource=f"f{n}()", project=project) for n, project in enumerate([float("nan"), None, 7])
    ]
    assert [function.project for function in read(written(tmp_path / "a.jsonl", rows))] == ["", "", "7"]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.hdf5"])
def test_a_project_that_is_not_utf8_is_a_bad_row(name, tmp_path):
    path = written(tmp_path / name, [dict(ROWS[0], project="caf#"), ROWS[1]])
    path.write_bytes(path.read_bytes().replace(b"caf#", b"caf\xe9"))
    with pytest.raises(InputError, match=f"{name}: row 1: project is not UTF-8; allowed: UTF-8 text"):
        read(path)


def test_lone_surrogates_are_replaced_and_counted(tmp_path):
    (tmp_path / "a.jsonl").write_text(
        r"""{"functionSource": "puts(\"\ud83d\");", "label": 1}
{"functionSource": "puts(\"\ud83d\ude00\");", "label": 0}"""
    )
    intake = Intake()
    assert [function.source for function in read(tmp_path / "a.jsonl", intake, {})] == [
        'puts("\ufffd");',
        'puts("😀");',
    ]
    assert intake.table().values.tolist() == [["read", 2], ["kept, with half a character replaced", 1]]


@pytest.mark.parametrize("end", ["\r\n", "\r"], ids=["windows", "mac"])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.hdf5"])
def test_every_kind_of_line_end_becomes_a_newline(name, end, tmp_path):
    rows = [dict(row, functionSource=row["functionSource"].replace("\n", end)) for row in ROWS]
    assert read(written(tmp_path / name, rows)) == EXPECTED
