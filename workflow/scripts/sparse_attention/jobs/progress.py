"""Progress bars in the log."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from sparse_attention.jobs.log import logger

T = TypeVar("T")


def progress(items: Iterable[T], total: int, what: str, every: float = 5.0) -> Iterator[T]:
    """Yield `items` and log a progress bar with rate and time left, at most once in `every` seconds."""
    bar = ProgressBar(total, what, every)
    for done, item in enumerate(items):
        bar.update(done)
        yield item
    bar.update(total)


class ProgressBar:
    """A progress bar for loops of other libraries: `update(done, note)` logs at most once in `every` seconds."""

    def __init__(self, total: int, what: str, every: float = 5.0) -> None:
        self.total, self.what, self.every = total, what, every
        self.first = 0
        self.start = self.last = time.monotonic()

    def resume_at(self, done: int) -> None:
        """Leave the first `done` items out of the rate, because an earlier run did them."""
        self.first = done

    def update(self, done: int, note: str = "") -> None:
        """Log the bar if `every` seconds have passed since it was last logged."""
        now = time.monotonic()
        if now - self.last < self.every:
            return
        self.last = now
        filled = 20 * done // max(self.total, 1)
        bar = "#" * filled + "-" * (20 - filled)
        pace = time_left = ""
        if done > self.first:
            rate = (done - self.first) / (now - self.start)
            left = int((self.total - done) / rate)
            pace = f"{rate:.1f}/s" if rate >= 1 else f"{1 / rate:.1f} s each"
            time_left = f"{left // 60}:{left % 60:02d} left"
        logger.info(
            "%s [%s] %d/%d, %s", self.what, bar, done, self.total, ", ".join(filter(None, [pace, time_left, note]))
        )
