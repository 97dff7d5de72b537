"""Every format of tables gives the same rows; an unreadable table gives one clear error."""

from __future__ import annotations

import bz2
import gzip
import json

import datasets
import h5py
import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from sparse_attention.data.rows import READERS, read_rows, saved_files
from sparse_attention.errors import InputError

LINES = b'{"text": "a", "label": 0}\n{"text": "b", "label": 1}\n'
ROWS = [("a", 0), ("b", 1)]


def read(path, columns=("text", "label"), optional=()):
    return list(read_rows(path, columns, optional))


def cells(path):
    """Text may come as bytes, labels as text."""
    decoded = ([value.decode() if isinstance(value, bytes) else value for value in row.values()] for row in read(path))
    return [(text, int(label)) for text, label in decoded]


def arrow(path, table, file=False):
    with (pyarrow.ipc.new_file if file else pyarrow.ipc.new_stream)(str(path), table.schema) as writer:
        writer.write_table(table)


TABLE = pyarrow.table({"label": [0, 1], "text": ["a", "b"]})
WRITERS = {
    "a.csv": lambda path: path.write_bytes(b"label,text\n0,a\n\n1,b\n"),
    "bom.csv": lambda path: path.write_bytes(b"\xef\xbb\xbftext,label\r\na,0\r\nb,1\r\n"),
    "mac.csv": lambda path: path.write_bytes(b"text,label\ra,0\rb,1\r"),
    "a.csv.bz2": lambda path: path.write_bytes(bz2.compress(b"text,label\na,0\nb,1\n")),
    "a.jsonl": lambda path: path.write_bytes(LINES),
    "bom.jsonl": lambda path: path.write_bytes(b"\xef\xbb\xbf" + LINES),
    "mac.jsonl": lambda path: path.write_bytes(LINES.replace(b"\n", b"\r")),
    "a.jsonl.gz": lambda path: path.write_bytes(gzip.compress(LINES)),
    "array.json": lambda path: path.write_text(json.dumps([json.loads(line) for line in LINES.splitlines()], indent=1)),
    "array.jsonl": lambda path: path.write_bytes(b"\xef\xbb\xbf\n[" + LINES.strip().replace(b"\n", b",") + b"]"),
    "a.parquet": lambda path: parquet.write_table(TABLE, path),
    "categories.parquet": lambda path: parquet.write_table(
        TABLE.set_column(1, "text", TABLE["text"].dictionary_encode()), path
    ),
    "a.arrow": lambda path: arrow(path, TABLE),
    "file.arrow": lambda path: arrow(path, TABLE, file=True),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_rows(name, tmp_path):
    WRITERS[name](tmp_path / name)
    assert cells(tmp_path / name) == ROWS


@pytest.mark.parametrize("shape", [(2,), (2, 1)], ids=str)
def test_hdf5_columns_may_have_two_dimensions(shape, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["text"] = np.array(["a", "b"], dtype=h5py.string_dtype()).reshape(shape)
        file["label"] = np.array([0, 1]).reshape(shape)
    assert cells(tmp_path / "a.h5") == ROWS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"text": ["a", "b"], "label": [0]}, r"columns have different numbers of rows \(text 2, label 1\)"),
        ({"text": ["a", "b"], "label": [[1, 0], [0, 1]]}, r"label has shape \(2, 2\); allowed: a column"),
        ({"text": "a", "label": 0}, r"text has shape \(\); allowed: a column"),
        ({"text": None, "label": [0]}, "text is a group; allowed: a column"),
    ],
    ids=["ragged", "one-hot", "scalar", "group"],
)
def test_hdf5_that_is_not_a_table_is_refused_with_column_and_shape(content, message, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, value in content.items():
            if value is None:
                file.create_group(name)
            else:
                file[name] = value
    with pytest.raises(InputError, match=f"a.h5: {message}"):
        read(tmp_path / "a.h5")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b"text,label,label\na,0,1\n"),
        ("a.jsonl", b'{"text": "a", "label": 0, "label": 1}\n'),
        ("a.json", b'[{"text": "a", "label": 0, "label": 1}]'),
    ],
)
def test_a_column_that_appears_twice_is_refused_if_it_is_used(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match="label appears (twice|2 times); allowed: once"):
        read(tmp_path / name)
    assert len(read(tmp_path / name, ["text"])) == 1


def test_parquet_and_arrow_columns_may_not_appear_twice(tmp_path):
    twice = pyarrow.Table.from_arrays([pyarrow.array(["a"])] * 2, names=["text", "text"])
    arrow(tmp_path / "a.arrow", twice)
    parquet.write_table(twice, tmp_path / "a.parquet")
    for name in ("a.arrow", "a.parquet"):
        with pytest.raises(InputError, match=f"{name}: the column text appears 2 times"):
            read(tmp_path / name, ["text"])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"Gr\xf6\xdfe,text,label\n1,a,0\n", r"line 1: the column 'Gr\\xf6\\xdfe' is not UTF-8"),
        ("a.csv", "text,label\na,0\n".encode("utf-16"), "is UTF-16 or UTF-32; allowed: UTF-8"),
        ("a.jsonl", LINES.decode().encode("utf-16"), "is UTF-16 or UTF-32; allowed: UTF-8"),
        ("a.csv", b"text;label\na;0\n", ".*its columns: text;label; cells are separated by ';', allowed: commas"),
        ("a.csv", b"", "there is no column text, label; its columns: none"),
        ("a.json", b"[{}, 3", "the array is not JSON"),
        ("a.json", b'{"text": 1' + b"0" * 5000 + b"}", "line 1 is not JSON"),
        ("a.parquet", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n", "is a Git LFS pointer"),
        ("a.parquet", LINES, "not a readable parquet file"),
        ("a.arrow", LINES, "not a readable Arrow file"),
        ("a.csv.gz", LINES, "not a readable .gz file"),
    ],
)
def test_a_file_that_is_not_a_table_is_refused(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name}: {message}") as error:
        read(tmp_path / name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", sorted(READERS))
def test_a_folder_and_a_missing_file_are_refused(suffix, tmp_path):
    (tmp_path / f"folder{suffix}").mkdir()
    for name in ("folder", "missing"):
        with pytest.raises(InputError, match=f"{name}{suffix}: no such file"):
            read(tmp_path / f"{name}{suffix}")


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.jsonl", "a.csv"])
def test_text_that_is_not_utf8_comes_as_bytes(name, tmp_path):
    bad = pyarrow.array([b"caf\xe9", b"b"]).view(pyarrow.string())
    table = TABLE.set_column(1, "text", bad)
    {
        "a.parquet": lambda path: parquet.write_table(table, path),
        "a.arrow": lambda path: arrow(path, table),
        "a.jsonl": lambda path: path.write_bytes(LINES.replace(b'"a"', b'"caf\xe9"')),
        "a.csv": lambda path: path.write_bytes(b"text,label\ncaf\xe9,0\nb,1\n"),
    }[name](tmp_path / name)
    first, second = (row["text"] for row in read(tmp_path / name))
    assert isinstance(first, bytes) and second in ("b", b"b")
    with pytest.raises(UnicodeDecodeError):
        first.decode("utf-8")


def test_escaped_surrogates_stay_text(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "a\\ud83d"}\n{"text": "\\ud83d\\ude00"}\n')
    assert [row["text"] for row in read(tmp_path / "a.jsonl", ["text"])] == ["a\ud83d", "😀"]


@pytest.fixture
def saved(tmp_path):
    folder = tmp_path / "saved"
    datasets.DatasetDict({"train": datasets.Dataset.from_dict({"text": ["a", "b"], "label": [0, 1]})}).save_to_disk(
        folder
    )
    arrow(folder / "train" / "cache-0123456789abcdef.arrow", pyarrow.table({"text": ["cached"], "label": [0]}))
    return folder


def test_only_the_data_of_a_saved_data_set_is_read(saved):
    data, others = saved_files(sorted(file for file in saved.rglob("*") if file.is_file()))
    assert [file.name for file in data] == ["data-00000-of-00001.arrow"]
    assert {file.name for file in others} == {
        "cache-0123456789abcdef.arrow", "dataset_dict.json", "dataset_info.json", "state.json",
    }  # fmt: skip


def test_caches_are_recognised_without_a_state_file(saved):
    (saved / "train" / "state.json").unlink()
    data, _ = saved_files((saved / "train").glob("*.arrow"))
    assert [file.name for file in data] == ["data-00000-of-00001.arrow"]


def test_a_missing_shard_of_a_saved_data_set_is_named(saved):
    (saved / "train" / "data-00000-of-00001.arrow").unlink()
    with pytest.raises(InputError, match=r"state\.json: names data-00000-of-00001\.arrow, which is missing"):
        saved_files((saved / "train").glob("*"))


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"_data_files": 3}', b"\xff"])
def test_a_damaged_state_of_a_saved_data_set_is_named(saved, content):
    (saved / "train" / "state.json").write_bytes(content)
    with pytest.raises(InputError, match=r"state\.json: not the state of a saved data set"):
        saved_files((saved / "train").glob("*.arrow"))


def test_files_without_saved_data_sets_are_all_data(tmp_path):
    files = [tmp_path / name for name in ("a.parquet", "state.json", "cache-1.jsonl")]
    assert saved_files(files) == (files, [])
