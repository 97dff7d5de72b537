from __future__ import annotations

import sys

import pytest

import publish
from archived_runs import OUTPUTS, ROOT, make_results
from sparse_attention.archiving.packing import pack
from zenodo_server import TOKEN


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
