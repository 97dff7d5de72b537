"""The one exception whose text is written for the user, and what makes a text one that can be shown."""

from __future__ import annotations

import re

LONGEST_LINE = 1200
BREAK = re.compile(r"\s*[\n\r\t\v\f\x1c-\x1e\x85\u2028\u2029]\s*")


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
    """Return what an error of a library says first, or its kind when it says nothing, to be quoted in a message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


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
