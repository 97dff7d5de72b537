"""The user's token for the Hugging Face hub: sent to the hub alone, and shown nowhere."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from typing import Any

import requests

BEARER = re.compile(r"(bearer\s+)[^\s'\"]+", re.I)


class HubSession(requests.Session):
    """Sends the token, if the user has one, and removes it where the hub redirects to another host.

    A password for the hub in the user's netrc file, as git uses it, would replace the token and is left out.
    """

    def __init__(self) -> None:
        super().__init__()
        self.auth = _add_token

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Remove the token from a redirected request if it leaves the hub."""
        if self.should_strip_auth(response.request.url, prepared_request.url):
            prepared_request.headers.pop("Authorization", None)


def without_token(text: str) -> str:
    """Return a text with stars in place of the token."""
    token = _token()
    return BEARER.sub(r"\1***", text.replace(token, "***") if token else text)


@contextlib.contextmanager
def hidden_in_logs() -> Iterator[None]:
    """Put stars in place of the token in whatever any library logs inside a `with` block."""
    make = logging.getLogRecordFactory()

    def make_hidden(*arguments: Any, **options: Any) -> logging.LogRecord:
        record = make(*arguments, **options)
        try:
            text = without_token(record.getMessage())
        except Exception:  # a wrong call by a library, which must not end the download; it may hold the token
            text = "(a message that cannot be shown)"
        record.msg, record.args = text, None
        return record

    logging.setLogRecordFactory(make_hidden)
    try:
        yield
    finally:
        logging.setLogRecordFactory(make)


def _add_token(request: requests.PreparedRequest) -> requests.PreparedRequest:
    token = _token()
    if token:
        request.headers["Authorization"] = f"Bearer {token}"
    return request


def why_refused(refused: bool) -> str | None:
    """Return what to do about the user's token, if it cannot be sent, or was `refused`; None for another reason."""
    token = _token()
    if token and not token.isascii():
        return "the token in HF_TOKEN, or that of `hf auth login`, has characters that no token has: correct it"
    if token and refused:
        return "the token in HF_TOKEN, or that of `hf auth login`, is not accepted: renew or remove it"
    return None


def _token() -> str | None:
    from huggingface_hub import get_token

    return get_token()
