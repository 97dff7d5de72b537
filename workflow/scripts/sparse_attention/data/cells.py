"""Reads single cells of users' tables as text, names or missing values."""

from __future__ import annotations

import re
from typing import Any

REPLACEMENT = "\ufffd"
PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
SURROGATE = re.compile("[\ud800-\udfff]")


class BadCell(ValueError):
    """A cell cannot be used; the message says why, and `allowed` says what is allowed."""

    def __init__(self, problem: str, allowed: str) -> None:
        super().__init__(problem)
        self.allowed = allowed


def whole_characters(text: str) -> tuple[str, int]:
    """Join pairs of surrogates to characters and replace lone surrogates, which cannot be encoded, by U+FFFD.

    JSON and HTML can write one surrogate alone. Text that was cut inside a character above U+FFFF contains one.

    Returns
    -------
    text : str
    replaced : int
        Number of surrogates that were replaced.
    """
    if text.isascii():
        return text, 0
    joined = PAIR.sub(lambda pair: pair[0].encode("utf-16-le", "surrogatepass").decode("utf-16-le"), text)
    return SURROGATE.subn(REPLACEMENT, joined)


def as_python(value: Any) -> object:
    """Return a NumPy scalar as a Python value, and any other value as it is."""
    return value.item() if getattr(value, "shape", None) == () else value


def is_missing(value: object) -> bool:
    """Return whether a cell is empty: null or NaN."""
    return value is None or (isinstance(value, float) and value != value)


def text_of(value: object, column: str) -> str | None:
    """Return the text of a cell, None when it is missing.

    Raises
    ------
    BadCell
        When the cell is not text, or is bytes that are not UTF-8.
    """
    value = as_python(value)
    if is_missing(value):
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            raise BadCell(f"{column} is not UTF-8", "UTF-8 text") from None
    raise BadCell(f"{column} is not text but {_kind(value)}", "text")


def name_of(value: object, column: str) -> str:
    """Return a name in a cell, such as a project, from text or a whole number; "" when it is missing.

    Raises
    ------
    BadCell
        When the cell is anything else.
    """
    value = as_python(value)
    if isinstance(value, float) and value.is_integer():
        # many libraries read whole numbers as floats when one of the column is missing
        return str(int(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return text_of(value, column) or ""


def _kind(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, bool):
        return "true or false"
    return "a number" if isinstance(value, int | float) else f"a {type(value).__name__}"
