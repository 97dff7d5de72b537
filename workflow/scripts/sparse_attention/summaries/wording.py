"""How path segments and counts are written for readers, in figures, tables and the report."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

WORDS = {
    "kind~": "",
    "shared~true": "shared",
    "shared~false": "separate",
    "concat~true": "query and key together",
    "~": " ",
    "_": " ",
}


def spell(segment: Any) -> str:
    """Write a path segment for readers: `entmax~1.5` becomes `entmax 1.5`, `kind~none` becomes an empty text."""
    text = str(segment)
    if text == "kind~none":
        return ""
    text = re.sub(r"(~[^_~]*)_", r"\1, ", text.removeprefix("kind~none_"))
    for key, words in WORDS.items():
        text = text.replace(key, words)
    return text


def spell_pruning(segment: Any, among: Iterable[Any] = ()) -> str:
    """Write the path segment of a pruning for readers: by all of it, or by what tells it from those `among` it is.

    Examples
    --------
    >>> spell_pruning("mode~threshold_ramp~zero_based_final~0.01")
    'threshold, ramp zero-based, final 0.01'
    """
    parts, *others = (re.split(r"_(?=[a-z]+~)", str(name)) for name in (segment, *among))
    common = set(parts).intersection(*others) if others else set()
    chosen = [part for part in parts if part not in common] or parts[:1]
    words = [part.removeprefix("mode~").replace("~", " ").replace("_", "-") for part in chosen]
    return ", ".join(words)


def count(number: Any, noun: str) -> str:
    """Write a number of things: `1 seed`, `3 seeds`."""
    return f"{int(number)} {noun}" + ("" if int(number) == 1 else "s")


def kept_tokens(keep: str) -> str:
    """Say which tokens are kept beside a predicted support; nothing for `none`."""
    return {
        "none": "",
        "cls": "first token kept",
        "last": "last token kept",
        "cls+last": "first and last token kept",
    }.get(keep, keep)
