"""Sends the library's log to the terminal and to a file."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from sparse_attention.errors import printable

logger = logging.getLogger("sparse_attention")


class _Readable(logging.Formatter):
    """Escapes characters in quoted names that would move the terminal's cursor or that cannot be encoded."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


class _Patient(logging.FileHandler):
    """Drops what it cannot write: a full disk must not hide the message that says so."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass


def configure_logging(log: str | None, label: str = "") -> None:
    """Send the library's messages to the terminal and to the file `log` if given; warnings go only to the file."""
    logger.handlers.clear()
    logger.setLevel(logging.INFO)
    logger.propagate = False
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setFormatter(_Readable(f"[{label}] %(message)s" if label else "%(message)s"))
    logger.addHandler(terminal)
    if log:
        Path(log).parent.mkdir(parents=True, exist_ok=True)
        Path(log).write_text("", encoding="utf-8")
        to_file = _Patient(log, mode="a", encoding="utf-8", errors="backslashreplace")
        to_file.setFormatter(_Readable("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
        logger.addHandler(to_file)
        logging.captureWarnings(True)
        warnings = logging.getLogger("py.warnings")
        warnings.handlers, warnings.propagate = [to_file], False
