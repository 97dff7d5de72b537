"""Colour source text by the last layer that its tokens reach, as HTML and for a terminal."""

from __future__ import annotations

import html
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

UNREAD = -1
"""Layer number of characters without a token, because the end of the function was cut off."""
SHADES = ("#f3f3f4", "#cfe1f2", "#93c3df", "#4b97c9", "#08519c")
"""Colours from tokens that the first layer prunes to tokens that survive; others are interpolated."""
STYLES = {"Keyword": "k", "Comment": "c", "Literal.String": "s", "Name.Function": "f"}
"""CSS class of each kind of token of pygments."""


class Piece(NamedTuple):
    """Characters with one style: `layer` as in `Traced.last_layer` or `UNREAD`; `kind` a class of `STYLES` or empty."""

    text: str
    layer: int
    kind: str


def kinds_of(source: str, language: str) -> list[str]:
    """Return the kind of every character: a class of `STYLES`, or empty."""
    from pygments.lexers import get_lexer_by_name

    kinds = [""] * len(source)
    for start, token, text in get_lexer_by_name(language).get_tokens_unprocessed(source):
        name = str(token).removeprefix("Token.")
        kind = next((kind for prefix, kind in STYLES.items() if name.startswith(prefix)), "")
        kinds[start : start + len(text)] = [kind] * len(text)
    return kinds[: len(source)]


def layers_of_characters(source: str, spans: Sequence[Sequence[int]], last_layer: Sequence[int]) -> list[int]:
    """Return the last layer that each character reaches; `UNREAD` behind the last token.

    A character between two tokens has the lower layer of the two.

    Parameters
    ----------
    source : str
        The text of the function.
    spans : sequence of (int, int)
        Start and end of each token in `source`.
    last_layer : sequence of int
        The last layer that each token reaches.
    """
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
    """Yield each line of the source as a list of pieces of one style."""
    painted = list(
        zip(source, layers_of_characters(source, spans, last_layer), kinds_of(source, language), strict=True)
    )
    start = 0
    for line in source.split("\n"):
        own = painted[start : start + len(line)]
        groups = itertools.groupby(own, key=lambda character: character[1:])
        yield [Piece("".join(character[0] for character in group), *own_style) for own_style, group in groups]
        start += len(line) + 1


def shade(layer: int, layers: int) -> tuple[int, int, int]:
    """Return the colour of tokens that reach `layer` of `layers`: red, green and blue from 0 to 255."""
    place = layer / max(layers, 1) * (len(SHADES) - 1)
    low = min(int(place), len(SHADES) - 2)
    ends = [[int(code[first : first + 2], 16) for first in (1, 3, 5)] for code in SHADES[low : low + 2]]
    return tuple(round(a + (b - a) * (place - low)) for a, b in zip(*ends, strict=True))


def is_dark(colour: Sequence[int]) -> bool:
    """Return whether white text on a colour has more contrast than black text; the better of them has at least 4.58.

    Parameters
    ----------
    colour : sequence of int
        Red, green and blue from 0 to 255.

    References
    ----------
    Relative luminance and contrast ratio as in the Web Content Accessibility Guidelines 2.2.
    """
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (c / 255 for c in colour)
    ]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05


def as_html(row: Mapping[str, Any], source: str, language: str, marked: Sequence[int] = ()) -> str:
    """Return a function as lines of HTML.

    CSS classes are `l3` for layer 3, `u` for unread text, a kind of `STYLES`, and `found` for the lines in `marked`.
    """
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
    """Return a function as text for a terminal with 24-bit colours; the lines in `marked` start with an arrow."""
    result = []
    for number, pieces in enumerate(lines(source, row["spans"], row["last_layer"], "text"), start=1):
        text = ""
        for piece in pieces:
            if piece.layer == UNREAD:
                text += f"\x1b[2m{piece.text}\x1b[0m"
                continue
            back = shade(piece.layer, layers)
            front = "255;255;255" if is_dark(back) else "0;0;0"
            text += f"\x1b[48;2;{back[0]};{back[1]};{back[2]}m\x1b[38;2;{front}m{piece.text}\x1b[0m"
        result.append(f"{'>' if number in marked else ' '}{number:4d} {text}")
    return "\n".join(result)
