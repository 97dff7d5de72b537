"""The exception for users' mistakes; its messages are safe to show, line by line."""

from __future__ import annotations

import contextlib
import re
import textwrap
from collections.abc import Iterator

LONGEST_LINE = 1200
BREAK = re.compile(r"\s*[\n\r\t\v\f\x1c-\x1e\x85\u2028\u2029]\s*")
CLASS = re.compile(r"<class '([^']*)'>")
ADVICE = re.compile(r"trust_remote_code|weights_only|pip install|https?://|should be one of|out of date", re.I)
"""Advice in messages of libraries that users must not follow: to run foreign code, or to change locked versions."""


class InputError(ValueError):
    """An input of a user cannot be used; the message names the file or key, its value and what is allowed.

    Each line of the message is safe to show, also when it quotes a file or a library: line breaks become spaces, other
    control characters and lone surrogates are escaped, and a line that is too long loses its middle.

    Parameters
    ----------
    text : str
        The message, one line.
    *more : str
        More lines, one for each further problem.
    """

    def __init__(self, text: str, *more: str) -> None:
        lines = (BREAK.sub(" ", line).rstrip() for line in (text, *more))
        super().__init__("\n".join(shortened(printable(line)) for line in lines))


def reason(error: BaseException) -> str:
    """Return the message of a library's error in one line without harmful advice, or its type if nothing is left."""
    parts = [" ".join(part.split()) for part in re.split(r"(?<=[.!?])\s+|\n+", str(error))]
    text = CLASS.sub(r"\1", " ".join(part for part in parts if part and not ADVICE.search(part)))
    if "allocate" in text:  # a library's own wording, with a line of its source
        text = "its sizes do not fit into memory"
    name = type(error).__name__
    if not isinstance(error, (OSError, ValueError, RuntimeError)) and type(error) is not Exception:
        text = f"{name}: {text}" if text else name
    return textwrap.shorten(text or name, 300, placeholder=" …")


@contextlib.contextmanager
def damage_in(name: str, allowed: str) -> Iterator[None]:
    """Turn what Python throws at content of another form into an `InputError` that says that a file is damaged.

    Parameters
    ----------
    name : str
        The file whose content is read.
    allowed : str
        What the file should be, for the error message.
    """
    try:
        yield
    except InputError:
        raise
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise InputError(f"{name} is damaged ({reason(error)}); allowed: {allowed}") from None


def printable(text: str) -> str:
    """Return a text with control characters and lone surrogates escaped, except newlines.

    Any terminal can show the result, and any file can hold it.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text)


def shortened(line: str) -> str:
    """Return a line with at most about `LONGEST_LINE` characters; a longer one loses its middle."""
    half = (LONGEST_LINE - 3) // 2
    return line if len(line) <= LONGEST_LINE else f"{line[:half]} … {line[-half:]}"
