from __future__ import annotations

import hashlib
import json
import sys
import zipfile

import pytest

import publish
from archived_runs import OUTPUTS, RECEIPT, ROOT, make_results
from sparse_attention.archiving.bundle import MANIFEST
from sparse_attention.archiving.packing import pack
from sparse_attention.errors import InputError
from zenodo_server import TOKEN

TABLE = "results/tables/predictors.tsv"


@pytest.fixture
def bundle(tmp_path):
    make_results(tmp_path / "run")
    pack(tmp_path / "bundle.zip", OUTPUTS, ["tables"], tmp_path / "run", ROOT)
    return tmp_path / "bundle.zip"


def test_metadata_are_written_once_and_again_when_asked_for(zenodo, bundle):
    address = publish.publish(bundle, zenodo.url, TOKEN)
    draft = zenodo.drafts[100]
    assert draft["metadata"]["title"].startswith("Results of")
    draft["metadata"] = {"title": "My title", "license": "cc-by-4.0"}
    assert publish.publish(bundle, zenodo.url, TOKEN) == address
    assert draft["metadata"] == {"title": "My title", "license": "cc-by-4.0"}
    publish.publish(bundle, zenodo.url, TOKEN, metadata=True)
    assert draft["metadata"]["title"].startswith("Results of")


@pytest.mark.parametrize(("stage", "licence"), [("tables", "mit"), ("models", "notspecified")])
def test_the_licence_is_left_to_the_user_of_a_bundle_with_works_of_others(
    zenodo, bundle, tmp_path, caplog, monkeypatch, stage, licence
):
    monkeypatch.setattr(publish.logger, "propagate", True)
    caplog.set_level("INFO")
    pack(bundle, OUTPUTS, [stage], tmp_path / "run", ROOT)
    publish.publish(bundle, zenodo.url, TOKEN)
    written = zenodo.drafts[100]["metadata"]
    assert written["license"] == licence and "CC-BY-SA-3.0" in written["description"]
    assert ("set the licence on the draft's page" in caplog.text) is (stage == "models")


def test_a_draft_whose_upload_broke_off_is_described_later(zenodo, bundle):
    publish.Draft(zenodo.url, TOKEN, bundle.with_name("bundle.draft.json"))
    publish.publish(bundle, zenodo.url, TOKEN)
    assert zenodo.drafts[100]["metadata"] and list(zenodo.drafts) == [100]


def test_the_command_line_says_where_the_draft_is(zenodo, bundle, monkeypatch, capsys):
    for arguments, number in ([], 100), (["--metadata"], 100), (["--new"], 101):
        monkeypatch.setattr(sys, "argv", ["publish.py", str(bundle), "--server", zenodo.url, *arguments])
        monkeypatch.setenv("ZENODO_TOKEN", TOKEN)
        publish.main()
        assert f"Review and publish the draft: {zenodo.url}/uploads/{number}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("server", "allowed"),
    [
        ("https://zenodo.org", True),
        ("http://localhost:8080", True),
        ("http://127.0.0.1:8080", True),
        ("http://localhost.example.org", False),
        ("http://127.0.0.1.example.org", False),
        ("http://localhost@example.org", False),
        ("http://zenodo.org", False),
        ("https://", False),
        ("https://[zenodo", False),
        ("ftp://localhost", False),
        ("zenodo.org", False),
    ],
)
def test_a_token_goes_only_to_encrypted_servers_and_to_this_machine(server, allowed, monkeypatch):
    assert publish.is_allowed(server) is allowed
    if not allowed:
        monkeypatch.setattr(sys, "argv", ["publish.py", "--server", server])
        monkeypatch.setenv("ZENODO_TOKEN", TOKEN)
        with pytest.raises(SystemExit, match="is not allowed; allowed: an address that starts with https://"):
            publish.main()


def edited(bundle, change):
    """Change the contents of a bundle's files by name; one without content is removed."""
    with zipfile.ZipFile(bundle) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    contents |= change(contents)
    with zipfile.ZipFile(bundle, "w") as archive:
        for name, content in contents.items():
            if content is not None:
                archive.writestr(name, content)


def index_with(**values):
    """Return a change of values in a bundle's index."""
    return lambda contents: {"bundle.json": json.dumps(json.loads(contents["bundle.json"]) | values)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(lambda _: {TABLE: b"x"}, r"predictors\.tsv has the wrong checksum", id="table"),
        pytest.param(lambda _: {TABLE: None}, r"predictors\.tsv is missing", id="no_table"),
        pytest.param(lambda _: {MANIFEST: b"x"}, r"manifest\.json has the wrong checksum", id="manifest"),
        pytest.param(lambda _: {"README.md": None}, r"README\.md is missing", id="no_readme"),
        pytest.param(lambda _: {"README.md": b"x"}, r"README\.md has the wrong checksum", id="readme"),
        pytest.param(index_with(config={}), r"bundle\.json is damaged", id="no_config"),
        pytest.param(index_with(data=[{}]), r"bundle\.json is damaged", id="data"),
        pytest.param(index_with(data=[{**RECEIPT, "source": "x"}]), r"bundle\.json is damaged", id="source"),
        pytest.param(lambda contents: with_manifest(contents, {"code": None}), r"manifest\.json is damaged", id="code"),
    ],
)
def test_nothing_is_sent_of_a_damaged_bundle(zenodo, bundle, change, message):
    edited(bundle, change)
    with pytest.raises(InputError, match=rf"bundle\.zip: .*{message}") as caught:
        publish.publish(bundle, zenodo.url, TOKEN)
    assert "\n" not in str(caught.value) and not zenodo.requests


def with_manifest(contents, values):
    """Return a bundle's manifest with other values, and the index with its checksum."""
    manifest = json.dumps(json.loads(contents[MANIFEST]) | values).encode()
    index = json.loads(contents["bundle.json"])
    (entry,) = (file for file in index["files"] if file["path"] == MANIFEST)
    entry["sha256"] = hashlib.sha256(manifest).hexdigest()
    return {MANIFEST: manifest, "bundle.json": json.dumps(index)}


@pytest.mark.parametrize(
    ("token", "why"),
    [
        ("", "is not set in the environment"),
        ("secret\nvalue", "holds a blank, a line break or a control character"),
        ("Bearer secret", "holds a blank, a line break or a control character"),
        ("secret-tök", "holds letters or signs that are not ASCII"),
    ],
    ids=ascii,
)
def test_a_token_that_cannot_be_sent_is_not_called_missing_and_not_shown(bundle, monkeypatch, token, why):
    monkeypatch.setattr(sys, "argv", ["publish.py", str(bundle)])
    monkeypatch.setenv("ZENODO_TOKEN", token)
    with pytest.raises(SystemExit, match=f"ZENODO_TOKEN {why}; allowed: an access token of") as caught:
        publish.main()
    assert "secret" not in str(caught.value)
