from __future__ import annotations

import errno
import json
import logging

import pytest

from file_server import Break, Reply
from sparse_attention.archiving.deposit import Draft
from sparse_attention.data.sources import retrying
from sparse_attention.errors import InputError
from sparse_attention.jobs.log import logger
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


def test_each_server_has_a_draft_of_its_own(zenodo, record):
    record.write_text('{"server": "https://elsewhere.example", "draft": 3}')  # as earlier versions wrote it
    assert Draft(zenodo.url, TOKEN, record).is_new
    assert json.loads(record.read_text()) == {"drafts": {"https://elsewhere.example": 3, zenodo.url: 100}}
    there = zenodo.url.replace("127.0.0.1", "localhost")
    assert Draft(there, TOKEN, record).is_new and list(zenodo.drafts) == [100, 101]
    back = Draft(f"{zenodo.url}/", TOKEN, record)
    assert not back.is_new and back.address.endswith("/100") and list(zenodo.drafts) == [100, 101]


@pytest.mark.parametrize(
    "content",
    [
        '{"drafts": 3}',
        '{"drafts": [[1, 2, 3]]}',
        '{"server": ["a"], "draft": 1}',
        '{"server": "https://zenodo.org"}',
        '{"drafts": {"https://zenodo.org": "../../x"}}',
        '{"drafts": {"https://zenodo.org": [1]}}',
        '{"drafts": {"https://zenodo.org": true}}',
    ],
)
def test_a_record_that_names_no_drafts_is_one_line(zenodo, record, content):
    record.write_text(content)
    with pytest.raises(InputError, match=r"draft\.json: .* is not allowed; allowed: the record of an upload"):
        Draft(zenodo.url, TOKEN, record)
    assert not zenodo.requests


def test_no_draft_is_made_that_could_not_be_remembered(zenodo, record, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(type(record), "touch", refuse)
    with pytest.raises(InputError, match=r"bundle\.draft\.json: cannot be written \(Permission denied\); allowed: "):
        Draft(zenodo.url, TOKEN, record)
    assert not zenodo.requests


@pytest.mark.parametrize("status", [404, 410])
def test_a_draft_that_was_deleted_is_told_and_replaced(zenodo, record, caplog, monkeypatch, status):
    monkeypatch.setattr(logger, "propagate", True)
    Draft(zenodo.url, TOKEN, record)
    del zenodo.drafts[100]
    zenodo.failures[f"{DRAFTS}/100"] = [status]
    assert Draft(zenodo.url, TOKEN, record).address == f"{zenodo.url}/uploads/101"
    assert f"the draft 100 on {zenodo.url} was deleted there; a new one is started" in caplog.text
    assert Draft(zenodo.url, TOKEN, record).address.endswith("/101") and list(zenodo.drafts) == [101]


def test_a_new_draft_is_started_when_it_is_asked_for(zenodo, record):
    Draft(zenodo.url, TOKEN, record)
    assert Draft(zenodo.url, TOKEN, record, fresh=True).is_new
    assert Draft(zenodo.url, TOKEN, record).address.endswith("/101") and list(zenodo.drafts) == [100, 101]


def test_what_a_user_wrote_on_the_page_is_known(zenodo, record):
    draft = Draft(zenodo.url, TOKEN, record)
    assert draft.is_new and draft.is_bare
    interrupted = Draft(zenodo.url, TOKEN, record)
    assert not interrupted.is_new and interrupted.is_bare
    zenodo.drafts[100]["metadata"] = {"title": "My title"}
    assert not Draft(zenodo.url, TOKEN, record).is_bare


@pytest.mark.parametrize("failure", [Break(0), 500, 503, 408], ids=str)
def test_a_draft_is_not_asked_for_twice_when_the_answer_is_lost(zenodo, record, failure):
    if isinstance(failure, Break):
        zenodo.breaks[DRAFTS] = failure
    else:
        zenodo.failures[DRAFTS] = [failure]
    advice = f"look for one without a title at {zenodo.url}/me/uploads and delete it, then run again"
    with pytest.raises(InputError, match=f"the server may have made an empty draft all the same: {advice}"):
        Draft(zenodo.url, TOKEN, record)
    assert len(zenodo.asked(DRAFTS, "POST")) == 1 and not record.exists()


def test_a_draft_is_asked_for_again_when_the_server_cannot_have_made_it(zenodo, record):
    zenodo.failures[DRAFTS] = [Reply(429), Reply(429)]
    Draft(zenodo.url, TOKEN, record)
    assert len(zenodo.asked(DRAFTS, "POST")) == 3 and list(zenodo.drafts) == [100]


def test_a_server_that_is_not_there_made_no_draft(record):
    with pytest.raises(InputError, match="ConnectionError, after 5 attempts; run again") as caught:
        Draft("http://127.0.0.1:9", TOKEN, record)
    assert "may have made" not in str(caught.value)


def test_a_published_draft_is_left_alone(zenodo, files, record):
    Draft(zenodo.url, TOKEN, record).upload(files)
    zenodo.publish(100)
    with pytest.raises(InputError, match=r"the draft 100 on .* is published and cannot be changed; run with --new"):
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
