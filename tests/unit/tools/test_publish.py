from __future__ import annotations

import sys

import pytest

import publish
from zenodo_server import TOKEN


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
