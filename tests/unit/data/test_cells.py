"""A cell is text, or missing, or bad."""

from __future__ import annotations

import numpy as np
import pytest

from sparse_attention.data.cells import BadCell, name_of, text_of, whole_characters


@pytest.mark.parametrize("value", [None, float("nan"), np.float32("nan")], ids=["none", "nan", "numpy's nan"])
def test_a_missing_cell_is_not_text(value):
    assert text_of(value, "code") is None and name_of(value, "project") == ""


@pytest.mark.parametrize("value", ["nä", "nä".encode(), np.str_("nä"), np.bytes_("nä".encode())])
def test_text_may_come_as_bytes(value):
    assert text_of(value, "code") == "nä" == name_of(value, "project")


@pytest.mark.parametrize("value", [3, np.int64(3), 3.0, np.float64(3.0)])
def test_a_whole_number_is_a_name_but_not_text(value):
    assert name_of(value, "project") == "3"
    with pytest.raises(BadCell, match="code is not text but a number"):
        text_of(value, "code")


@pytest.mark.parametrize(
    ("value", "kind"),
    [(["f", "("], "a list"), ({"code": "f()"}, "a mapping"), (0.5, "a number"), (True, "true or false"),
     (np.array([b"f()"]), "a ndarray"), (b"caf\xe9", "not UTF-8")],
    ids=["list", "mapping", "fraction", "boolean", "array", "latin-1"],
)  # fmt: skip
def test_all_other_cells_are_bad(value, kind):
    for read in (text_of, name_of):
        with pytest.raises(BadCell, match=f"column is .*{kind}"):
            read(value, "column")


@pytest.mark.parametrize(
    ("text", "expected", "replaced"),
    [("plain", "plain", 0), ("ä😀", "ä😀", 0), ("\ud83d\ude00", "😀", 0), ("a\ud83d", "a\ufffd", 1),
     ("\ude00b", "\ufffdb", 1), ("\ude00\ud83d", "\ufffd\ufffd", 2), ("\ud83d\ud83d\ude00", "\ufffd😀", 1),
     ("\udce9", "\ufffd", 1)],
)  # fmt: skip
def test_surrogates_are_joined_or_replaced(text, expected, replaced):
    assert whole_characters(text) == (expected, replaced)
    assert whole_characters(text)[0].encode("utf-8")
