"""Errors of users: the one exception whose text is written for them, and what makes a text one that can be shown."""

from __future__ import annotations

import re
import textwrap

LONGEST_LINE = 1200
BREAK = re.compile(r"\s*[\n\r\t\v\f\x1c-\x1e\x85\u2028\u2029]\s*")
CLASS = re.compile(r"<class '([^']*)'>")
ADVICE = re.compile(r"trust_remote_code|weights_only|pip install|https?://|should be one of|out of date", re.I)
"""What libraries advise and no user of ours should follow: running foreign code, or leaving the lock's versions."""


class InputError(ValueError):
    """What a user gave cannot be used: the text names it, its value and what is allowed.

    Whatever the text quotes from a file or a library, it is one line that can be shown: breaks become spaces, other
    control characters and half characters are spelt out, and the middle of what is too long is left out.

    Parameters
    ----------
    text : str
        The message.
    *more : str
        Further lines, for lists of problems.
    """

    def __init__(self, text: str, *more: str) -> None:
        lines = (BREAK.sub(" ", line).rstrip() for line in (text, *more))
        super().__init__("\n".join(shortened(printable(line)) for line in lines))


def reason(error: BaseException) -> str:
    """Return what a library says of an error in one line, or its kind; advice not to be followed is left out."""
    parts = [" ".join(part.split()) for part in re.split(r"(?<=[.!?])\s+|\n+", str(error))]
    text = CLASS.sub(r"\1", " ".join(part for part in parts if part and not ADVICE.search(part)))
    if "allocate" in text:  # in a library's words, with the place in its source
        text = "its sizes do not fit into memory"
    name = type(error).__name__
    if not isinstance(error, (OSError, ValueError, RuntimeError)) and type(error) is not Exception:
        text = f"{name}: {text}" if text else name
    return textwrap.shorten(text or name, 300, placeholder=" …")


def printable(text: str) -> str:
    """Return a text that any terminal and any file takes: control characters and lone surrogates are escaped.

    Ends of lines stay.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text)


def shortened(line: str) -> str:
    """Return a line of bearable length, its middle left out where it is longer; both ends say what it is about."""
    half = (LONGEST_LINE - 3) // 2
    return line if len(line) <= LONGEST_LINE else f"{line[:half]} … {line[-half:]}"
