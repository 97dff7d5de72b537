"""Source text painted by the last layer that its tokens reach: as HTML, and for a terminal."""

from __future__ import annotations

import html
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sparse_attention.errors import InputError

UNREAD = -1
"""In the place of a layer: characters that no token covers, because the end of the function was cut."""
SHADES = ("#f3f3f4", "#cfe1f2", "#93c3df", "#4b97c9", "#08519c")
"""From tokens that the first layer prunes to those that survive; in between by interpolation."""
STYLES = {"Keyword": "k", "Comment": "c", "Literal.String": "s", "Name.Function": "f"}
"""How the kinds of pygments' tokens are told apart, by the class of the page."""


class Piece(NamedTuple):
    """Characters that look alike: `layer` as in `Traced.last_layer`, or `UNREAD`; `kind` of `STYLES`, or empty."""

    text: str
    layer: int
    kind: str


def check_language(language: str) -> None:
    """Raise `InputError` when pygments has no such language."""
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        get_lexer_by_name(language)
    except ClassNotFound:
        raise InputError(
            f"show_pruning.language: {language!r}; allowed: a language of pygments, such as python, c or powershell"
        ) from None


def kinds_of(source: str, language: str) -> list[str]:
    """Return the kind of every character, as `STYLES` tells them apart."""
    from pygments.lexers import get_lexer_by_name

    kinds = [""] * len(source)
    for start, token, text in get_lexer_by_name(language).get_tokens_unprocessed(source):
        name = str(token).removeprefix("Token.")
        kind = next((kind for prefix, kind in STYLES.items() if name.startswith(prefix)), "")
        kinds[start : start + len(text)] = [kind] * len(text)
    return kinds[: len(source)]


def layers_of_characters(source: str, spans: Sequence[Sequence[int]], last_layer: Sequence[int]) -> list[int]:
    """Return the layer of every character; one between two tokens is as the less lasting of them."""
    layers = [UNREAD] * len(source)
    before = (0, max(last_layer, default=0))
    for (start, end), last in zip(spans, last_layer, strict=True):
        if start == end:
            continue
        layers[before[0] : start] = [min(before[1], last)] * (start - before[0])
        layers[start:end] = [last] * (end - start)
        before = (end, last)
    return layers


def lines(
    source: str, spans: Sequence[Sequence[int]], last_layer: Sequence[int], language: str
) -> Iterator[list[Piece]]:
    """Yield each line of the source as pieces."""
    painted = list(
        zip(source, layers_of_characters(source, spans, last_layer), kinds_of(source, language), strict=True)
    )
    start = 0
    for line in source.split("\n"):
        own = painted[start : start + len(line)]
        groups = itertools.groupby(own, key=lambda one: one[1:])
        yield [Piece("".join(one[0] for one in group), *look) for look, group in groups]
        start += len(line) + 1


def shade(layer: int, layers: int) -> tuple[int, int, int]:
    """Return the colour of tokens that reach `layer` of `layers`, red, green and blue from 0 to 255."""
    place = layer / max(layers, 1) * (len(SHADES) - 1)
    low = min(int(place), len(SHADES) - 2)
    ends = [[int(code[first : first + 2], 16) for first in (1, 3, 5)] for code in SHADES[low : low + 2]]
    return tuple(round(a + (b - a) * (place - low)) for a, b in zip(*ends, strict=True))


def as_html(row: Mapping[str, Any], source: str, language: str, marked: Sequence[int] = ()) -> str:
    """Return a function as lines of HTML; classes say the layer (`l3`, `u` for unread), the kind and a marked line."""
    result = []
    for number, pieces in enumerate(lines(source, row["spans"], row["last_layer"], language), start=1):
        spans = []
        for piece in pieces:
            names = f"{'u' if piece.layer == UNREAD else f'l{piece.layer}'} {piece.kind}".strip()
            spans.append(f'<span class="{names}">{html.escape(piece.text)}</span>')
        mark = ' class="found"' if number in marked else ""
        result.append(f"<div{mark}><b>{number}</b>{''.join(spans)}</div>")
    return "".join(result)


def as_terminal(row: Mapping[str, Any], source: str, layers: int, marked: Sequence[int] = ()) -> str:
    """Return a function for a terminal of 24-bit colours; marked lines have an arrow."""
    result = []
    for number, pieces in enumerate(lines(source, row["spans"], row["last_layer"], "text"), start=1):
        text = ""
        for piece in pieces:
            if piece.layer == UNREAD:
                text += f"\x1b[2m{piece.text}\x1b[0m"
                continue
            back = shade(piece.layer, layers)
            front = "255;255;255" if sum(back) < 380 else "0;0;0"
            text += f"\x1b[48;2;{back[0]};{back[1]};{back[2]}m\x1b[38;2;{front}m{piece.text}\x1b[0m"
        result.append(f"{'>' if number in marked else ' '}{number:4d} {text}")
    return "\n".join(result)
