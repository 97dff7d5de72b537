"""How path segments and counts are written for readers, in figures, tables and the report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sparse_attention.files.segments import pairs

WORDS = {
    ("kind", "none"): "",
    ("shared", "true"): "shared",
    ("shared", "false"): "separate",
    ("concat", "true"): "query and key together",
}


def spell(text: Any) -> str:
    """Write path segments, alone or within other words, for readers.

    Examples
    --------
    >>> spell("kind~linear_dim~4_shared~true"), spell("cos sparsity~0.95, causal"), spell("kind~none")
    ('linear, dim 4, shared', 'cos sparsity 0.95, causal', '')
    """
    return " ".join(", ".join(_words(word)) for word in str(text).split(" "))


def _words(word: str) -> list[str]:
    written = pairs(word)
    if not written:
        return [word.replace("~", " ").replace("_", " ")]
    parts = [WORDS.get(pair, pair[1] if pair[0] == "kind" else " ".join(pair)) for pair in written]
    return [part.replace("_", " ") for part in parts if part]


def spell_pruning(segment: Any, among: Iterable[Any] = ()) -> str:
    """Write the path segment of a pruning for readers: by all of it, or by what tells it from those `among` it is.

    Examples
    --------
    >>> spell_pruning("mode~threshold_ramp~zero_based_final~0.01")
    'threshold, ramp zero-based, final 0.01'
    """
    parts, *others = (pairs(str(name)) or (("mode", str(name)),) for name in (segment, *among))
    common = set(parts).intersection(*others) if others else set()
    chosen = [part for part in parts if part not in common] or parts[:1]
    words = [value if key == "mode" else f"{key} {value}" for key, value in chosen]
    return ", ".join(words).replace("_", "-")


def count(number: Any, noun: str) -> str:
    """Write a number of things: `1 seed`, `3 seeds`."""
    return f"{int(number)} {noun}" + ("" if int(number) == 1 else "s")


def joined(names: Sequence[str]) -> str:
    """Join names as a sentence does: `A`, `A and B`, `A, B and C`."""
    return " and ".join([*([", ".join(names[:-1])] if len(names) > 1 else []), *names[-1:]])


def kept_tokens(keep: str) -> str:
    """Say which tokens are kept beside a predicted support; nothing for `none`."""
    return {
        "none": "",
        "cls": "first token kept",
        "last": "last token kept",
        "cls+last": "first and last token kept",
    }.get(keep, keep)
