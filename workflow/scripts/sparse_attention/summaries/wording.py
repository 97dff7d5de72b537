"""Write path segments and counts for readers of figures, tables and the report."""

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
    """Return text for readers in which path segments are written out.

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
    """Return the path segment of a pruning for readers: all settings, or those in which it differs from `among`.

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
    """Return a number with its noun: `1 seed`, `3 seeds`."""
    return f"{int(number)} {noun}" + ("" if int(number) == 1 else "s")


def joined(names: Sequence[str]) -> str:
    """Return names joined as in a sentence: `A`, `A and B`, `A, B and C`."""
    return " and ".join([*([", ".join(names[:-1])] if len(names) > 1 else []), *names[-1:]])


def kept_tokens(keep: str) -> str:
    """Return which tokens are always kept, for readers; empty for `none`."""
    return {
        "none": "",
        "cls": "first token kept",
        "last": "last token kept",
        "cls+last": "first and last token kept",
    }.get(keep, keep)
