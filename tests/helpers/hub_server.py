"""A local stand-in for the Hugging Face hub that speaks its protocol of files.

Small files are under git: the hub sends them itself, after a redirect to its own cache. Large files are under LFS: the
hub redirects to another server, which must not be told who the user is.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from file_server import FileServer, Reply, Request

COMMIT = "0123456789abcdef0123456789abcdef01234567"
"""The commit of revisions that are not commits themselves."""
LARGE = (".safetensors", ".bin", ".parquet")
"""Ends of the names of files that are under LFS."""
RESOLVE = re.compile(r"/(?:datasets/)?([^/]+/[^/]+)/resolve/.+")


@dataclass
class HubServer(FileServer):
    """The hub, with its large files on the server `cdn`.

    Attributes
    ----------
    gated : set of str
        Repositories whose files are sent only to a user with a token.
    """

    cdn: FileServer = field(default_factory=FileServer)
    gated: set[str] = field(default_factory=set)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Serve inside a `with` block, each server on a port of its own."""
        with self.cdn.running(), super().running():
            yield

    def publish(self, source: dict[str, Any], files: dict[str, bytes]) -> None:
        """Serve a repository with these files, under the source's `repo`, `repo_type` and `revision`."""
        siblings = [self._add(source, name, content) for name, content in files.items()]
        about = {"id": source["repo"], "sha": _commit(source), "siblings": siblings, "tags": []}
        for revision in {source["revision"], _commit(source)}:
            self.files[self.listing({**source, "revision": revision})] = json.dumps(about).encode()

    def listing(self, source: dict[str, Any]) -> str:
        """Return the path of the list of a repository's files."""
        return f"/api/{_kind(source)}/{source['repo']}/revision/{quote(source['revision'], safe='')}"

    def address(self, source: dict[str, Any], name: str) -> str:
        """Return the path at which the hub is asked for a file."""
        prefix = "/datasets" if _kind(source) == "datasets" else ""
        return f"{prefix}/{source['repo']}/resolve/{_commit(source)}/{quote(name)}"

    def place(self, source: dict[str, Any], name: str) -> tuple[FileServer, str]:
        """Return the server that sends a file, and the path there."""
        if name.endswith(LARGE):
            return self.cdn, f"/lfs/{source['repo']}/{quote(name)}"
        return self, f"/api/resolve-cache/{_kind(source)}/{source['repo']}/{_commit(source)}/{quote(name)}"

    def content(self, source: dict[str, Any], name: str) -> bytes:
        """Return what is sent for a file."""
        server, path = self.place(source, name)
        return server.files[path]

    def replace(self, source: dict[str, Any], name: str, content: bytes) -> None:
        """Send another content than the hub's list of files tells."""
        server, path = self.place(source, name)
        server.files[path] = content

    def reply(self, request: Request) -> Reply | None:
        """Return the answer to a request, or None when a file is to be sent."""
        found = RESOLVE.fullmatch(request.path)
        if found and found[1] in self.gated and not request.token:
            return _error(401, "GatedRepo", f"Access to {found[1]} is restricted. You must be authenticated.")
        return super().reply(request)

    def missing(self, request: Request) -> Reply:
        """Return the hub's answer for what it lacks, with its headers for errors."""
        if RESOLVE.fullmatch(request.path):
            return _error(404, "EntryNotFound", "Entry not found")
        repository = request.path.rsplit("/revision/", 1)[0]
        if any(path.startswith(f"{repository}/revision/") for path in self.files):
            return _error(404, "RevisionNotFound", "Invalid rev id")
        # so that nobody learns which private repositories there are
        if not request.token:
            return _error(401, "RepoNotFound", "Invalid username or password.")
        return _error(404, "RepoNotFound", "Repository not found")

    def _add(self, source: dict[str, Any], name: str, content: bytes) -> dict[str, Any]:
        """Serve a file, and return its record in the hub's list."""
        server, path = self.place(source, name)
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        server.files[path] = content
        record: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": blob}
        headers = {"X-Repo-Commit": _commit(source), "X-Linked-Size": str(len(content))}
        if server is self:
            server.headers[path] = {"ETag": f'"{blob}"', "X-Repo-Commit": _commit(source)}
            redirect = Reply(307, headers | {"Location": path, "X-Linked-ETag": f'"{blob}"'})
        else:
            sha256 = hashlib.sha256(content).hexdigest()
            record["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 130}
            server.headers[path] = {"ETag": f'"{hashlib.md5(content).hexdigest()}"'}
            location = f"{server.url}{path}?signature=abc"
            redirect = Reply(302, headers | {"Location": location, "X-Linked-ETag": f'"{sha256}"'})
        self.redirects[self.address(source, name)] = redirect
        return record


@pytest.fixture
def empty_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """Return a hub without repositories, which the hub's client takes for the real one; the user has no token."""
    state = HubServer()
    with state.running():
        monkeypatch.setenv("HF_ENDPOINT", state.url)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        yield state


def _kind(source: dict[str, Any]) -> str:
    return f"{source.get('repo_type', 'model')}s"


def _commit(source: dict[str, Any]) -> str:
    return source["revision"] if re.fullmatch("[0-9a-f]{40}", source["revision"]) else COMMIT


def _error(status: int, code: str, message: str) -> Reply:
    headers = {"X-Error-Code": code, "X-Error-Message": message, "Content-Type": "application/json"}
    return Reply(status, headers, json.dumps({"error": message}).encode())
