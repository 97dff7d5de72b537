"""Repeats requests to servers that are busy or lose the connection."""

from __future__ import annotations

import email.utils
import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from sparse_attention.data.sources.common import SourceError

logger = logging.getLogger(__name__)
T = TypeVar("T")

ATTEMPTS = 5
PAUSE = 1.0
DAY = 24 * 3600.0
LONGEST_WAIT = 300.0
"""Seconds that a server may ask a job to wait; the hub counts requests in windows of this length."""

USED_UP = re.compile(r"\br=0\s*;\s*t=(\d+)")


class BusyError(Exception):
    """A request failed that may succeed later; the message says why.

    Parameters
    ----------
    text : str
        The message.
    wait : float
        Seconds that the server asks to wait.
    """

    def __init__(self, text: str, wait: float = 0.0) -> None:
        super().__init__(text)
        self.wait = wait


def is_temporary(status: int) -> bool:
    """Return whether a request that was answered with this status may succeed later."""
    return status >= 500 or status in (408, 429)


def wait_of(headers: Mapping[str, str]) -> float:
    """Return the seconds to wait that an answer asks for in `Retry-After` or `RateLimit`, or 0."""
    after = headers.get("Retry-After", "").strip()
    if after.isascii() and after.isdecimal():
        return float(after[:12])
    if after:
        try:
            return max(0.0, email.utils.parsedate_to_datetime(after).timestamp() - time.time())
        except ValueError:
            return 0.0
    used_up = USED_UP.search(headers.get("RateLimit", ""))
    return float(used_up[1]) if used_up else 0.0


def repeat(request: Callable[[], T]) -> T:
    """Return what `request` returns, with growing pauses between attempts as long as it raises `BusyError`.

    Raises
    ------
    SourceError
        When all attempts fail, or the server asks to wait longer than `LONGEST_WAIT`.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return request()
        except BusyError as error:
            busy = error
        if busy.wait > LONGEST_WAIT:
            wait = f"{busy.wait:.0f} s" if busy.wait <= DAY else "more than a day"
            raise SourceError(f"{busy}, and asks to wait {wait}: run again after that time")
        if attempt < ATTEMPTS:
            pause = max(PAUSE * 2 ** (attempt - 1), busy.wait)
            logger.info("%s; attempt %d of %d in %.0f s", busy, attempt + 1, ATTEMPTS, pause)
            time.sleep(pause)
    raise SourceError(f"{busy}, after {ATTEMPTS} attempts")
