from __future__ import annotations

import logging

import pytest

from file_server import Break
from sparse_attention.archiving.deposit import Draft, metadata_of
from sparse_attention.data.sources import retrying
from sparse_attention.errors import InputError
from zenodo_server import DRAFTS, TOKEN

BUCKET = "/api/files/bucket-100"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(retrying, "PAUSE", 0.0)


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / "config.yaml", tmp_path / "bundle.zip"]
    paths[0].write_bytes(b"seeds: [1]\n")
    paths[1].write_bytes(bytes(range(256)) * 1000)
    return paths


@pytest.fixture
def record(tmp_path):
    return tmp_path / "bundle.draft.json"


def test_files_and_metadata_stand_in_a_draft_that_is_not_published(zenodo, files, record):
    draft = Draft(zenodo.url, TOKEN, record)
    assert draft.upload(files) == ["config.yaml", "bundle.zip"]
    draft.describe({"title": "Results"})
    (made,) = zenodo.drafts.values()
    assert made["files"] == {file.name: file.read_bytes() for file in files}
    assert made["metadata"] == {"title": "Results"} and not made["submitted"]
    assert draft.address == f"{zenodo.url}/uploads/100" and zenodo.tokens == {f"Bearer {TOKEN}"}


def test_an_upload_that_breaks_off_is_sent_again(zenodo, files, record):
    zenodo.breaks[f"{BUCKET}/bundle.zip"] = Break(1000)
    zenodo.failures[f"{BUCKET}/config.yaml"] = [429, 500]
    Draft(zenodo.url, TOKEN, record).upload(files)
    assert zenodo.drafts[100]["files"]["bundle.zip"] == files[1].read_bytes()


def test_a_second_call_goes_on_with_the_same_draft_and_sends_only_what_is_missing(zenodo, files, record):
    zenodo.failures[f"{BUCKET}/bundle.zip"] = [503] * retrying.ATTEMPTS
    with pytest.raises(InputError, match="503 Service Unavailable, after 5 attempts; run again to continue the upload"):
        Draft(zenodo.url, TOKEN, record).upload(files)
    assert Draft(zenodo.url, TOKEN, record).upload(files) == ["bundle.zip"]
    files[0].write_text("seeds: [2]\n")
    assert Draft(zenodo.url, TOKEN, record).upload(files) == ["config.yaml"]
    assert list(zenodo.drafts) == [100] and zenodo.drafts[100]["files"]["config.yaml"] == b"seeds: [2]\n"


def test_a_draft_on_another_server_is_a_new_one(zenodo, record):
    record.write_text('{"server": "https://elsewhere.example", "draft": 3}')
    Draft(zenodo.url, TOKEN, record)
    assert list(zenodo.drafts) == [100]


def test_a_published_draft_is_left_alone(zenodo, files, record):
    Draft(zenodo.url, TOKEN, record).upload(files)
    zenodo.publish(100)
    with pytest.raises(InputError, match=r"the draft 100 on .* is published and cannot be changed; delete .*draft"):
        Draft(zenodo.url, TOKEN, record)


def test_a_file_that_arrives_changed_is_an_error(zenodo, files, record):
    zenodo.garbled.add("bundle.zip")
    with pytest.raises(InputError, match=r"bundle\.zip: the server received another content"):
        Draft(zenodo.url, TOKEN, record).upload(files)


def test_a_refused_token_stands_in_no_message_and_no_log(zenodo, record, caplog):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(
        InputError, match="401 Unauthorized; allowed: a token of this very server in ZENODO_TOKEN"
    ) as caught:
        Draft(zenodo.url, "wrong-token", record)
    assert "wrong-token" not in str(caught.value) + caplog.text and not record.exists()


def test_the_token_goes_to_no_other_server(zenodo, files, record):
    zenodo.bucket_host = "http://127.0.0.2:1"
    draft = Draft(zenodo.url, TOKEN, record)
    with pytest.raises(InputError, match="sends uploads to another server"):
        draft.upload(files)


def test_a_users_netrc_does_not_replace_the_token(zenodo, record, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    Draft(zenodo.url, TOKEN, record)
    assert zenodo.tokens == {f"Bearer {TOKEN}"}


def test_a_server_of_another_kind_is_one_line(zenodo, record, monkeypatch):
    monkeypatch.setattr(zenodo, "receive", lambda request, body: type(zenodo).__mro__[1].receive(zenodo, request, body))
    with pytest.raises(InputError, match=f"{DRAFTS}: the server answers 405 Method Not Allowed"):
        Draft(zenodo.url, TOKEN, record)


def test_metadata_follow_the_citation_file():
    citation = {"title": "the workflow", "keywords": ["entmax"], "license": "MIT", "version": "1.2.0"}
    found = metadata_of(citation, ["Someone"], "what was run")
    assert found["title"] == "Results of the workflow" and found["upload_type"] == "dataset"
    assert found["creators"] == [{"name": "Someone"}] and found["license"] == "mit"
