"""Uploads files to a draft on Zenodo, or on another server with the same software; nothing is published."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import requests

from sparse_attention.data.sources import url
from sparse_attention.data.sources.common import MEGABYTE, SourceError
from sparse_attention.data.sources.retrying import BusyError, is_temporary, repeat, wait_of
from sparse_attention.errors import InputError
from sparse_attention.files.checksums import md5_of
from sparse_attention.files.plain import read_json, write_json
from sparse_attention.jobs.log import logger

SANDBOX = "https://sandbox.zenodo.org"
TOKEN = "ZENODO_TOKEN"
_UPLOADING = (15, 600)


class Draft:
    """A draft on a server.

    Parameters
    ----------
    server : str
        Its address, such as `https://zenodo.org`.
    token : str
        The user's access token; no message shows it.
    record : Path
        A file that remembers the draft, so that a second call continues it.

    Raises
    ------
    InputError
        When the server refuses the token or the draft, or does not answer, or the draft has been published.
    """

    def __init__(self, server: str, token: str, record: Path) -> None:
        self.server, self._token = server.rstrip("/"), token
        known = read_json(record, "the record of an upload; delete it to start a new draft") if record.exists() else {}
        if known.get("server") == self.server:
            self._state = self._ask("GET", f"{self._drafts}/{known['draft']}")
            if self._state.get("submitted"):
                text = f"the draft {known['draft']} on {self.server} is published and cannot be changed"
                raise InputError(f"{text}; delete {record} to start a new one")
        else:
            self._state = self._ask("POST", self._drafts, json={})
            write_json(record, {"server": self.server, "draft": self._value("id")}, indent=2)

    @property
    def _drafts(self) -> str:
        return f"{self.server}/api/deposit/depositions"

    @property
    def address(self) -> str:
        """Where the user reviews and publishes the draft."""
        return f"{self.server}/uploads/{self._value('id')}"

    def describe(self, metadata: Mapping[str, Any]) -> None:
        """Replace the draft's metadata, as Zenodo's documentation names them."""
        self._ask("PUT", f"{self._drafts}/{self._value('id')}", json={"metadata": dict(metadata)})

    def upload(self, files: Iterable[Path]) -> list[str]:
        """Upload the files that the draft does not hold yet with the same content; return the names of these.

        Raises
        ------
        InputError
            When the server refuses a file, or holds another content after the upload.
        """
        held = {file.get("filename"): file.get("checksum", "") for file in self._state.get("files", [])}
        sent = []
        for file in files:
            digest = md5_of(file)
            if held.get(file.name, "").removeprefix("md5:") == digest:
                logger.info("%s: already there", file.name)
                continue
            logger.info("%s: sending %.1f MB", file.name, file.stat().st_size / MEGABYTE)
            answer = self._send(f"{self._bucket()}/{quote(file.name)}", file)
            if str(answer.get("checksum", "")).removeprefix("md5:") != digest:
                raise InputError(f"{file.name}: the server received another content; run again to send it once more")
            sent.append(file.name)
        return sent

    def _bucket(self) -> str:
        address = str(self._value("links").get("bucket"))
        # the token goes to no other host than the one that the user named
        if urlsplit(address).netloc != urlsplit(self.server).netloc:
            raise InputError(f"{self.server} sends uploads to another server, which is not allowed")
        return address

    def _value(self, key: str) -> Any:
        if key not in self._state:
            raise InputError(f"{self.server}: the answer has no {key!r}; allowed: a server with Zenodo's deposit API")
        return self._state[key]

    def _send(self, address: str, file: Path) -> dict[str, Any]:
        def attempt() -> requests.Response:
            with file.open("rb") as stream:
                return self._request("PUT", address, data=stream, timeout=_UPLOADING)

        return self._answer(attempt, address)

    def _ask(self, method: str, address: str, **options: Any) -> dict[str, Any]:
        return self._answer(lambda: self._request(method, address, timeout=url.TIMEOUT, **options), address)

    def _request(self, method: str, address: str, **options: Any) -> requests.Response:
        # `auth` keeps requests from sending what a user's .netrc says instead
        return requests.request(method, address, auth=self._authorise, allow_redirects=False, **options)

    def _authorise(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def _answer(self, request: Callable[[], requests.Response], address: str) -> dict[str, Any]:
        shown = url.without_password(address)

        def attempt() -> requests.Response:
            try:
                response = request()
            except (requests.ConnectionError, requests.Timeout) as error:
                raise BusyError(f"{shown}: {type(error).__name__}") from None
            except (requests.RequestException, ValueError) as error:
                raise SourceError(f"{shown}: {type(error).__name__}") from None
            if is_temporary(response.status_code):
                raise BusyError(f"{shown}: {url.answer(response.status_code)}", wait_of(response.headers))
            return response

        try:
            response = repeat(attempt)
        except SourceError as error:
            raise InputError(f"{error}; run again to continue the upload") from None
        if response.status_code in (401, 403):
            allowed = f"a token of this very server in {TOKEN}, with the scopes deposit:write and deposit:actions"
            raise InputError(f"{shown}: {url.answer(response.status_code)}; allowed: {allowed}")
        if not 200 <= response.status_code < 300:
            raise InputError(f"{shown}: {url.answer(response.status_code)}")
        try:
            content = response.json()
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise InputError(f"{shown}: the answer is not JSON; allowed: a server with Zenodo's deposit API")
        return content


def metadata_of(citation: Mapping[str, Any], names: list[str], summary: str) -> dict[str, Any]:
    """Return the metadata of a draft that holds a bundle.

    Parameters
    ----------
    citation : mapping
        The content of `CITATION.cff`.
    names : list of str
        The authors' names.
    summary : str
        What was run, in one line.
    """
    return {
        "upload_type": "dataset",
        "title": f"Results of {citation['title']}",
        "creators": [{"name": name} for name in names],
        "description": f"{summary}. README.md says what the bundle holds and how figures are made from it.",
        "keywords": list(citation["keywords"]),
        "license": str(citation["license"]).lower(),
        "version": str(citation["version"]),
    }
