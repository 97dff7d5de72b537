"""Files at an http(s) address; an interrupted download goes on where it stopped."""

from __future__ import annotations

import http
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import requests

from sparse_attention.data.sources.common import MEGABYTE, RefusedError, SourceError, Wanted
from sparse_attention.data.sources.retrying import BusyError, is_temporary, repeat, wait_of
from sparse_attention.jobs.progress import ProgressBar

TIMEOUT = (15, 60)
CHUNK = 1 << 14


def address(source: dict[str, Any], item: Wanted) -> str:
    """Return a file's address: that of the source, followed by the file's path unless it already ends with it."""
    base: str = source["url"]
    return base if base.rsplit("/", 1)[-1] == item.path else f"{base.rstrip('/')}/{quote(item.path)}"


def fetch(source: dict[str, Any], wanted: list[Wanted], folder: Path) -> None:
    """Download each file to `folder`; interrupted downloads are resumed."""
    for item in wanted:
        download(address(source, item), folder / item.name)


def download(url: str, target: Path, session: requests.Session | None = None, size: int | None = None) -> None:
    """Download a file, with growing pauses between attempts; an earlier partial file `NAME.part` is continued.

    Parameters
    ----------
    url : str
        The file's address.
    target : Path
        Where to put it; nothing is there before the file is whole.
    session : Session, optional
        Sends the requests, and says who the user is.
    size : int, optional
        The file's size in bytes, if known.

    Raises
    ------
    SourceError
        When the server refuses the file, or all attempts fail.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    if not (part.exists() and _size(part) == size):
        repeat(lambda: _attempt(url, part, session))
    part.replace(target)


def read_json(url: str) -> dict[str, Any]:
    """Return the object at an address, with growing pauses between attempts.

    Raises
    ------
    SourceError
        When the server refuses it, all attempts fail, or it is not JSON.
    """
    shown = without_password(url)

    def attempt() -> dict[str, Any]:
        try:
            response = requests.get(url, timeout=TIMEOUT)
        except (requests.ConnectionError, requests.Timeout) as error:
            raise BusyError(f"{shown}: {type(error).__name__}") from None
        except requests.RequestException as error:
            raise SourceError(f"{shown}: {type(error).__name__}") from None
        if is_temporary(response.status_code):
            raise BusyError(f"{shown}: {answer(response.status_code)}", wait_of(response.headers))
        if not response.ok:
            raise SourceError(f"{shown}: {answer(response.status_code)}")
        try:
            content: dict[str, Any] = response.json()
        except ValueError as error:
            raise SourceError(f"{shown}: {type(error).__name__}") from None
        return content

    return repeat(attempt)


def by_hand(source: dict[str, Any], item: Wanted) -> str:
    """Return how to get the file by hand."""
    return f"download {without_password(address(source, item))}"


def without_password(url: str) -> str:
    """Return an address without the user and password that it may carry."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rsplit("@", 1)[-1]))


def answer(status: int) -> str:
    """Return what a server's status means, in words of our own: those of a server may repeat what was sent to it."""
    known = status in set(http.HTTPStatus)
    return f"the server answers {status}" + (f" {http.HTTPStatus(status).phrase}" if known else "")


def _attempt(url: str, part: Path, session: requests.Session | None) -> None:
    """Continue a download; raise `BusyError` for errors that may pass, and `SourceError` for others."""
    shown = without_password(url)
    try:
        _continue(url, part, session)
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
        raise BusyError(f"{shown}: {type(error).__name__} after {_size(part)} bytes") from None
    except requests.HTTPError as error:
        status = error.response.status_code
        text = f"{shown}: {answer(status)}"
        if status == 416:
            part.unlink(missing_ok=True)
        elif not is_temporary(status):
            raise (RefusedError(text, status) if status in (401, 403) else SourceError(text)) from None
        raise BusyError(text, wait_of(error.response.headers)) from None
    except requests.RequestException as error:
        raise SourceError(f"{shown}: {type(error).__name__}") from None


def _continue(url: str, part: Path, session: requests.Session | None) -> None:
    start = _size(part)
    # compressed transfer would make byte offsets meaningless
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with (session or requests).get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        response.raise_for_status()
        if start and response.status_code != 206:
            start = 0
        expected = start + int(response.headers.get("Content-Length", 0))
        bar = ProgressBar(expected // MEGABYTE, f"{part.stem} (MB)")
        bar.resume_at(start // MEGABYTE)
        with open(part, "ab" if start else "wb") as stream:
            for chunk in response.iter_content(CHUNK):
                stream.write(chunk)
                bar.update(stream.tell() // MEGABYTE)
    if "Content-Length" in response.headers and _size(part) < expected:
        raise requests.ConnectionError("the connection was closed early")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
