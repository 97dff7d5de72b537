"""Files at an http(s) address; an interrupted download goes on where it stopped."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import requests

from sparse_attention.data.sources.common import MEGABYTE, SourceError, Wanted
from sparse_attention.jobs.progress import ProgressBar

logger = logging.getLogger(__name__)

ATTEMPTS = 5
PAUSE = 1.0
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


def download(url: str, target: Path) -> None:
    """Download a file, with growing pauses between attempts; an earlier partial file `NAME.part` is continued."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    _with_retries(url, part)
    part.replace(target)


def by_hand(source: dict[str, Any], item: Wanted) -> str:
    """Return how to get the file by hand."""
    return f"download {without_password(address(source, item))}"


def without_password(url: str) -> str:
    """Return an address without the user and password that it may carry."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rsplit("@", 1)[-1]))


def _with_retries(url: str, part: Path) -> None:
    shown = without_password(url)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _continue(url, part)
            return
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            reason = f"{type(error).__name__} after {_size(part)} bytes"
        except requests.HTTPError as error:
            status = error.response.status_code
            reason = f"{shown} answers {status} {error.response.reason}"
            if status < 500 and status not in (408, 416, 429):
                raise SourceError(reason) from None
            if status == 416:
                part.unlink(missing_ok=True)
        except requests.RequestException as error:
            raise SourceError(f"{shown}: {type(error).__name__}") from None
        if attempt < ATTEMPTS:
            pause = PAUSE * 2 ** (attempt - 1)
            logger.info("%s; attempt %d of %d in %.0f s", reason, attempt + 1, ATTEMPTS, pause)
            time.sleep(pause)
    raise SourceError(f"{shown}: {reason}, after {ATTEMPTS} attempts")


def _continue(url: str, part: Path) -> None:
    start = _size(part)
    # compressed transfer would make byte offsets meaningless
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        answer.raise_for_status()
        if start and answer.status_code != 206:
            start = 0
        expected = start + int(answer.headers.get("Content-Length", 0))
        bar = ProgressBar(expected // MEGABYTE, f"{part.stem} (MB)")
        bar.resume_at(start // MEGABYTE)
        with open(part, "ab" if start else "wb") as stream:
            for chunk in answer.iter_content(CHUNK):
                stream.write(chunk)
                bar.update(stream.tell() // MEGABYTE)
    if "Content-Length" in answer.headers and _size(part) < expected:
        raise requests.ConnectionError("the connection was closed early")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
