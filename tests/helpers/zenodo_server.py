"""A local stand-in for Zenodo that speaks its protocols of drafts and of published records."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from file_server import FileServer, Reply, Request

DRAFTS = "/api/deposit/depositions"
TOKEN = "a-secret-token"


@dataclass
class ZenodoServer(FileServer):
    """Drafts by number, which `publish` turns into records.

    Attributes
    ----------
    drafts : dict
        The metadata, the contents of files by name, and whether it is published, of each draft.
    garbled : set of str
        Names of files that arrive with another content.
    bucket_host : str
        Where uploads are sent, if not to this server.
    made : int
        How many drafts were made, also those that were deleted since.
    """

    drafts: dict[int, dict[str, Any]] = field(default_factory=dict)
    garbled: set[str] = field(default_factory=set)
    bucket_host: str = ""
    made: int = 0

    def reply(self, request: Request) -> Reply | None:
        """Answer questions about drafts, which only their owner may ask; everything else is a file."""
        found = re.fullmatch(rf"{DRAFTS}/(\d+)", request.path)
        if not found or self.failures.get(request.path):
            return super().reply(request)
        return self._refusal(request) or self._draft(int(found[1]))

    def receive(self, request: Request, body: bytes) -> Reply:
        """Make a draft, take its metadata, or take a file into its bucket."""
        if refusal := self._refusal(request):
            return refusal
        if request.path == DRAFTS:
            number = 100 + self.made
            self.made += 1
            self.drafts[number] = {"metadata": {}, "files": {}, "submitted": False}
            return self._draft(number, 201)
        if bucket := re.fullmatch(r"/api/files/bucket-(\d+)/(.+)", request.path):
            name = unquote(bucket[2])
            content = body[:-1] if name in self.garbled else body
            self.drafts[int(bucket[1])]["files"][name] = content
            return _json({"key": name, "size": len(content), "checksum": f"md5:{_md5(content)}"}, 201)
        number = int(request.path.rsplit("/", 1)[-1])
        self.drafts[number]["metadata"] = json.loads(body)["metadata"]
        return self._draft(number)

    def publish(self, number: int) -> None:
        """Make a draft a record that anyone can read."""
        draft = self.drafts[number]
        draft["submitted"] = True
        self.record(number, draft["files"])

    def record(self, number: int, files: dict[str, bytes]) -> None:
        """Serve a published record with these files."""
        listed = []
        for name, content in files.items():
            path = f"/api/records/{number}/files/{name}/content"
            self.files[path] = content
            links = {"self": f"{self.url}{path}"}
            listed.append({"key": name, "size": len(content), "checksum": f"md5:{_md5(content)}", "links": links})
        self.files[f"/api/records/{number}"] = json.dumps({"id": number, "files": listed}).encode()

    def _refusal(self, request: Request) -> Reply | None:
        return None if request.token == f"Bearer {TOKEN}" else _json({"message": f"bad {request.token}"}, 401)

    def _draft(self, number: int, status: int = 200) -> Reply:
        if number not in self.drafts:
            return _json({"message": "no such draft"}, 404)
        draft = self.drafts[number]
        files = [{"filename": name, "checksum": _md5(content)} for name, content in draft["files"].items()]
        links = {"bucket": f"{self.bucket_host or self.url}/api/files/bucket-{number}"}
        metadata = draft["metadata"]
        content = {"id": number, "submitted": draft["submitted"], "files": files, "links": links}
        return _json({**content, "title": metadata.get("title", ""), "metadata": metadata}, status)


def _json(content: dict[str, Any], status: int) -> Reply:
    return Reply(status, {"Content-Type": "application/json"}, json.dumps(content).encode())


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
