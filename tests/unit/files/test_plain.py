"""Pointers and web pages in place of a file are refused, and so is JSON that is not an object."""

import pytest

from sparse_attention.clusters.centroids import Centroids
from sparse_attention.errors import InputError
from sparse_attention.files.plain import read_json, require_file
from sparse_attention.files.shards import ShardReader
from sparse_attention.files.tables import read_table
from sparse_attention.files.tensors import read_metadata, read_safetensors, read_torch
from sparse_attention.originals.dumps import Dump
from sparse_attention.projections.model import Projections

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 438011953\n"
PAGE = "\n<!DOCTYPE html>\n<html><body>Not Found</body></html>\n"
READERS = [read_torch, read_safetensors, read_metadata, read_table, ShardReader, Dump, Projections.load, Centroids.load]


@pytest.mark.parametrize(
    "read", [*READERS, require_file, pytest.param(lambda path: read_json(path, "x"), id="read_json")]
)
@pytest.mark.parametrize(
    ("content", "message"),
    [(POINTER, "is a Git LFS pointer, .*run git lfs pull"), (PAGE, "is a web page, .*get the file again")],
    ids=["pointer", "web page"],
)
def test_pointers_and_web_pages_are_refused(tmp_path, read, content, message):
    (tmp_path / "file.pt").write_text(content)
    with pytest.raises(InputError, match=f"file.pt: {message}"):
        read(tmp_path / "file.pt")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="is a folder, not a file; allowed: a dump"):
        require_file(tmp_path, "a dump")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON"),
        ("\xff", "not valid JSON"),
        ("[1]", "holds no JSON object"),
        ("[" * 10**5, "not valid JSON .nested too deeply"),
    ],
    ids=["cut", "no text", "a list", "deep"],
)
def test_a_file_without_a_json_object_is_refused(tmp_path, content, message):
    (tmp_path / "a.json").write_text(content, encoding="latin-1")
    with pytest.raises(InputError, match=f"a.json: {message}.*; allowed: facts"):
        read_json(tmp_path / "a.json", "facts")
