"""Uploads files to a draft on Zenodo, or on another server with the same software; nothing is published."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from sparse_attention.data.sources import url
from sparse_attention.data.sources.common import MEGABYTE, SourceError
from sparse_attention.data.sources.retrying import BusyError, is_temporary, repeat, wait_of
from sparse_attention.errors import InputError
from sparse_attention.files.atomic import require_writable
from sparse_attention.files.checksums import md5_of
from sparse_attention.files.plain import read_json, write_json
from sparse_attention.files.yaml_values import shown
from sparse_attention.jobs.log import logger

SANDBOX = "https://sandbox.zenodo.org"
TOKEN = "ZENODO_TOKEN"
_UPLOADING = (15, 600)
_GONE = (404, 410)
_TOO_MANY = 429
_RECORD = "the record of an upload; without this file a new draft is started"


class Draft:
    """A draft on a server.

    The one that an earlier call made is continued. A new one is made when there is none, or when it is no longer there.

    Parameters
    ----------
    server : str
        Its address, such as `https://zenodo.org`.
    token : str
        The user's access token; no message shows it.
    record : Path
        A file that remembers the draft on each server, so that a second call continues it.
    fresh : bool
        Make a new draft even if there is one.

    Attributes
    ----------
    is_new : bool
        Whether this call made the draft.

    Raises
    ------
    InputError
        When the server refuses the token or the draft, or does not answer, or the draft has been published.
    """

    def __init__(self, server: str, token: str, record: Path, fresh: bool = False) -> None:
        self.server, self._token = server.rstrip("/"), token
        drafts = _remembered(record)
        known = None if fresh else drafts.get(self.server)
        found = None if known is None else self._continued(known)
        self.is_new = found is None
        if self.is_new:
            # a draft that nothing remembers would be followed by another one at each call
            _refuse_unwritable(record)
        self._state: dict[str, Any] = self._made() if found is None else found
        if self.is_new:
            write_json(record, {"drafts": {**drafts, self.server: self._value("id")}}, indent=2)

    def _continued(self, number: int) -> dict[str, Any] | None:
        """Return the state of a draft, or None when it is no longer there."""
        address = f"{self._drafts}/{number}"
        response = self._reply(partial(self._request, "GET", address, timeout=url.TIMEOUT), address)
        if response.status_code in _GONE:
            logger.warning("the draft %s on %s was deleted there; a new one is started", number, self.server)
            return None
        state = _content(response, address)
        if state.get("submitted"):
            text = f"the draft {number} on {self.server} is published and cannot be changed"
            raise InputError(f"{text}; run with --new to start another, or start a new version on its page")
        return state

    def _made(self) -> dict[str, Any]:
        """Make a draft."""
        address = self._drafts
        request = partial(self._request, "POST", address, timeout=url.TIMEOUT, json={})
        return _content(self._reply(request, address, makes=True), address)

    @property
    def _drafts(self) -> str:
        return f"{self.server}/api/deposit/depositions"

    @property
    def address(self) -> str:
        """Where the user reviews and publishes the draft."""
        return f"{self.server}/uploads/{self._value('id')}"

    @property
    def is_bare(self) -> bool:
        """Whether nobody has described the draft yet: neither an earlier call nor its user on the page."""
        return self.is_new or not (self._state.get("title") or (self._state.get("metadata") or {}).get("title"))

    def describe(self, metadata: Mapping[str, Any]) -> None:
        """Replace the draft's metadata, as Zenodo's documentation names them."""
        address = f"{self._drafts}/{self._value('id')}"
        request = partial(self._request, "PUT", address, timeout=url.TIMEOUT, json={"metadata": dict(metadata)})
        _content(self._reply(request, address), address)

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

        return _content(self._reply(attempt, address), address)

    def _request(self, method: str, address: str, **options: Any) -> requests.Response:
        # `auth` keeps requests from sending what a user's .netrc says instead
        return requests.request(method, address, auth=self._authorise, allow_redirects=False, **options)

    def _authorise(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def _reply(self, request: Callable[[], requests.Response], address: str, makes: bool = False) -> requests.Response:
        """Return the answer to a request, which is repeated while the server is busy.

        One that `makes` something is not repeated when the server may have done it: nobody would see what it made.
        """
        shown = url.without_password(address)

        def attempt() -> requests.Response:
            try:
                response = request()
            except (requests.ConnectionError, requests.Timeout) as error:
                text = f"{shown}: {type(error).__name__}"
                raise (self._unsure(text) if makes and _was_sent(error) else BusyError(text)) from None
            except (requests.RequestException, ValueError) as error:
                raise SourceError(f"{shown}: {type(error).__name__}") from None
            text = f"{shown}: {url.answer(response.status_code)}"
            if makes and is_temporary(response.status_code) and response.status_code != _TOO_MANY:
                raise self._unsure(text)
            if is_temporary(response.status_code):
                raise BusyError(text, wait_of(response.headers))
            if response.status_code in (401, 403):
                allowed = f"a token of this very server in {TOKEN}, with the scopes deposit:write and deposit:actions"
                raise InputError(f"{text}; allowed: {allowed}")
            return response

        try:
            return repeat(attempt)
        except SourceError as error:
            raise InputError(f"{error}; run again to continue the upload") from None

    def _unsure(self, text: str) -> InputError:
        advice = f"look for one without a title at {self.server}/me/uploads and delete it, then run again"
        return InputError(f"{text}; the server may have made an empty draft all the same: {advice}")


def _remembered(record: Path) -> dict[str, Any]:
    """Return the draft on each server that a file remembers."""
    content = read_json(record, _RECORD) if record.exists() else {}
    drafts = content.get("drafts", {})
    if "server" in content:  # earlier versions remembered one server
        drafts = {content["server"]: content.get("draft")} if isinstance(content["server"], str) else None
    # each number becomes a part of an address
    if not isinstance(drafts, dict) or any(type(number) is not int for number in drafts.values()):
        raise InputError(f"{record}: {shown(content)} is not allowed; allowed: {_RECORD}")
    return drafts


def _refuse_unwritable(record: Path) -> None:
    try:
        require_writable(record)
    except OSError as error:
        text = f"{record}: cannot be written ({error.strerror}); allowed: a bundle in a folder that can be written"
        raise InputError(f"{text}, because this file remembers the draft") from None


def _was_sent(error: requests.RequestException) -> bool:
    """Return whether a server may have received a request that failed."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return not isinstance(reason, NewConnectionError | ConnectTimeoutError)


def _content(response: requests.Response, address: str) -> dict[str, Any]:
    """Return the JSON object in an answer."""
    shown = url.without_password(address)
    if not 200 <= response.status_code < 300:
        raise InputError(f"{shown}: {url.answer(response.status_code)}")
    try:
        content = response.json()
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise InputError(f"{shown}: the answer is not JSON; allowed: a server with Zenodo's deposit API")
    return content
