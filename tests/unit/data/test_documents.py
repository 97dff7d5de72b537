"""Prepared documents are read back, and other files are refused."""

from __future__ import annotations

import json

import pytest

from sparse_attention.data.documents import read_documents
from sparse_attention.errors import InputError

DOCUMENT = {"id": "1", "title": "One", "split": "train", "text": "Words."}
ALLOWED = "allowed: JSON with id, title, split and text"


def test_documents_are_read_back(tmp_path):
    rows = [DOCUMENT, DOCUMENT | {"id": "2", "split": "test", "revision": "7"}]
    (tmp_path / "documents.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert list(read_documents(tmp_path / "documents.jsonl")) == rows


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "1", "title": "On', f"line 2 is not a document; {ALLOWED}"),
        ("[1]", f"line 2 is not a document; {ALLOWED}"),
        ("[" * 10**5, f"line 2 is not a document; {ALLOWED}"),
        ("", f"line 2 is not a document; {ALLOWED}"),
        (json.dumps(DOCUMENT | {"text": None}), f"line 2 is not a document; {ALLOWED}"),
        (json.dumps({"id": "1", "text": "Words."}), f"line 2 is not a document; {ALLOWED}"),
        (
            json.dumps(DOCUMENT | {"split": "dev"}),
            "line 2: split 'dev' is not allowed; allowed: train, validation, test",
        ),
    ],
    ids=["cut", "a list", "deep", "empty", "no text", "no title", "split"],
)
def test_a_line_that_is_not_a_document_is_refused(tmp_path, line, message):
    (tmp_path / "documents.jsonl").write_text(f"{json.dumps(DOCUMENT)}\n{line}\n")
    with pytest.raises(InputError, match=rf"documents\.jsonl: {message}"):
        list(read_documents(tmp_path / "documents.jsonl"))


def test_a_file_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "documents.jsonl").write_bytes(b'{"id": "\xff"}\n')
    with pytest.raises(InputError, match="line 1 is not a document"):
        list(read_documents(tmp_path / "documents.jsonl"))
