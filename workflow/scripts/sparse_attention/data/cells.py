"""What a cell of a user's table says: text, a name, nothing, or something that cannot be used."""

from __future__ import annotations

import re
from typing import Any

REPLACEMENT = "\ufffd"
PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
SURROGATE = re.compile("[\ud800-\udfff]")


class BadCell(ValueError):
    """A cell holds something that cannot be used; the text says what, `allowed` what may stand there."""

    def __init__(self, problem: str, allowed: str) -> None:
        super().__init__(problem)
        self.allowed = allowed


def whole_characters(text: str) -> tuple[str, int]:
    """Join surrogates that stand in pairs and replace the others, which no file can hold, by U+FFFD.

    JSON and HTML can name half of a character above U+FFFF: text that was cut in its middle does.

    Returns
    -------
    text : str
    replaced : int
        How many surrogates had no partner.
    """
    if text.isascii():
        return text, 0
    joined = PAIR.sub(lambda pair: pair[0].encode("utf-16-le", "surrogatepass").decode("utf-16-le"), text)
    return SURROGATE.subn(REPLACEMENT, joined)


def plain(value: Any) -> object:
    """Return a number of numpy's as one of Python's."""
    return value.item() if getattr(value, "shape", None) == () else value


def is_missing(value: object) -> bool:
    """Return whether a cell is empty: null or NaN."""
    return value is None or (isinstance(value, float) and value != value)


def text_of(value: object, column: str) -> str | None:
    """Return the text of a cell, None where it is missing.

    Raises
    ------
    BadCell
        When the cell holds no text, or bytes that are not UTF-8.
    """
    value = plain(value)
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
    """Return a cell that names something, such as a project: text or a whole number; "" where it is missing.

    Raises
    ------
    BadCell
        When it holds anything else.
    """
    value = plain(value)
    if isinstance(value, float) and value.is_integer():
        # a column of whole numbers with a gap is one of floats in many libraries
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
