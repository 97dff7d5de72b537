from __future__ import annotations

import json

import pytest

from file_server import Break, Reply
from sparse_attention.data.fetch import retrieve
from sparse_attention.data.registry import open_dataset
from sparse_attention.data.sources import retrying
from sparse_attention.errors import InputError

CONTENT = bytes(range(256)) * 2000
PATH = "/api/records/7/files/bundle.zip/content"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(retrying, "PAUSE", 0.0)


@pytest.fixture
def entry(zenodo):
    zenodo.record(7, {"bundle.zip": CONTENT, "README.md": b"read me"})
    source = {"type": "zenodo", "record": 7, "server": zenodo.url}
    return {"kind": "archive", "version": "1", "source": source}


def test_all_files_of_a_record_come_with_a_receipt_that_verifies(entry, tmp_path):
    retrieve("toy", entry, tmp_path / "receipt.json")
    dataset = open_dataset(tmp_path / "receipt.json")
    assert {file.name: file.read_bytes() for file in dataset.files} == {"README.md": b"read me", "bundle.zip": CONTENT}


def test_only_the_files_that_are_named_come(entry, tmp_path, zenodo):
    entry["files"] = [{"path": "README.md", "name": "about.md"}]
    retrieve("toy", entry, tmp_path / "receipt.json")
    assert (tmp_path / "about.md").read_bytes() == b"read me" and not zenodo.asked(PATH)


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_download_that_breaks_off_goes_on_where_it_stopped(entry, tmp_path, zenodo, how):
    zenodo.breaks[PATH] = Break(98_304, how)
    retrieve("toy", entry, tmp_path / "receipt.json")
    assert (tmp_path / "bundle.zip").read_bytes() == CONTENT
    first, second = zenodo.asked(PATH)
    assert first is None and second.startswith("bytes=")


def test_a_busy_server_is_asked_again_after_the_time_that_it_wants(entry, tmp_path, zenodo, monkeypatch):
    waited = []
    monkeypatch.setattr(retrying.time, "sleep", waited.append)
    zenodo.failures["/api/records/7"] = [Reply(429, {"Retry-After": "3"}), 503]
    zenodo.failures[PATH] = [502]
    retrieve("toy", entry, tmp_path / "receipt.json")
    assert waited == [3.0, 0.0, 0.0]


def test_a_file_with_another_checksum_is_not_kept(entry, tmp_path, zenodo):
    zenodo.files[PATH] = CONTENT[::-1]
    with pytest.raises(InputError, match=r"bundle\.zip has the wrong checksum: expected md5 .*; it was not kept"):
        retrieve("toy", entry, tmp_path / "receipt.json")
    assert not (tmp_path / "bundle.zip").exists() and not (tmp_path / "receipt.json").exists()


def test_a_committed_checksum_goes_before_that_of_the_record(entry, tmp_path):
    entry["files"] = [{"path": "bundle.zip", "sha256": "0" * 64}]
    with pytest.raises(InputError, match="expected sha256 0000"):
        retrieve("toy", entry, tmp_path / "receipt.json")


@pytest.mark.parametrize(
    "change, message",
    [
        pytest.param({"record": 8}, "/api/records/8: the server answers 404 Not Found", id="no_record"),
        pytest.param({"server": "http://127.0.0.1:9"}, "ConnectionError, after 5 attempts", id="no_server"),
    ],
)
def test_what_cannot_be_fetched_is_named_with_a_way_to_get_it_by_hand(entry, tmp_path, change, message):
    entry["source"] |= change
    with pytest.raises(InputError) as caught:
        retrieve("toy", entry, tmp_path / "receipt.json")
    assert message in str(caught.value) and "To get them by hand: download its files from http" in str(caught.value)


def test_a_name_that_the_record_lacks_is_named_beside_those_that_it_has(entry, tmp_path):
    entry["files"] = [{"path": "other.zip"}]
    with pytest.raises(InputError, match=r"the record 7 has no other\.zip; it has bundle\.zip, README\.md"):
        retrieve("toy", entry, tmp_path / "receipt.json")


@pytest.mark.parametrize("body", [b"<html>", json.dumps({"files": [{"key": "a"}]}).encode()], ids=["html", "no_links"])
def test_an_answer_of_another_kind_is_one_line(entry, tmp_path, zenodo, body):
    zenodo.files["/api/records/7"] = body
    with pytest.raises(InputError, match="toy: cannot be fetched: http"):
        retrieve("toy", entry, tmp_path / "receipt.json")
