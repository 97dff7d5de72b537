"""Tables are written the same way each time and read back as they were."""

import pandas as pd
import pytest

from sparse_attention.errors import InputError
from sparse_attention.files.tables import read_table, write_table


def test_round_trip_keeps_text_and_missing_values(tmp_path):
    frame = pd.DataFrame({"keep": ["none", "cls"], "recall": [1 / 3, None], "layer": [0, 1]})
    write_table(frame, tmp_path / "t.tsv")
    assert (tmp_path / "t.tsv").read_text() == "keep\trecall\tlayer\nnone\t0.333333\t0\ncls\t\t1\n"
    back = read_table(tmp_path / "t.tsv", ["keep", "recall"])
    assert list(back["keep"]) == ["none", "cls"]
    assert back["recall"].isna().tolist() == [False, True]


def test_a_missing_column_is_named(tmp_path):
    write_table(pd.DataFrame({"a": [1]}), tmp_path / "t.tsv")
    with pytest.raises(InputError, match=r"t\.tsv: columns \['b'\] are missing"):
        read_table(tmp_path / "t.tsv", ["a", "b"])


@pytest.mark.parametrize(
    "content", [b"", b"a\tb\n1\t2\t3\n1\n1\t2\t3\t4\n", b"a\tb\n\xff\t2\n", b"a\n\"1\n"],
    ids=["empty", "ragged", "no text", "open quote"],
)  # fmt: skip
def test_a_file_that_is_not_a_table_is_refused(tmp_path, content):
    (tmp_path / "t.tsv").write_bytes(content)
    with pytest.raises(InputError, match=r"t\.tsv: not a table \(.*; allowed: UTF-8 text, tabs"):
        read_table(tmp_path / "t.tsv")


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"t\.tsv: there is no such file"):
        read_table(tmp_path / "t.tsv")
