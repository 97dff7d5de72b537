"""Painted source: the layer and kind of every character, no character lost, and nothing that breaks a page."""

from __future__ import annotations

import html
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparse_attention.reporting.painting import (
    SHADES,
    UNREAD,
    Piece,
    as_html,
    as_terminal,
    is_dark,
    kinds_of,
    layers_of_characters,
    lines,
    shade,
)

LANGUAGES = st.sampled_from(["python", "c", "powershell", "text"])
SOURCES = st.text(st.one_of(st.sampled_from("ab1 \t\n\r\"'#\\{}$<>&"), st.characters(exclude_categories=["Cs"])))

# spans, layers: what the characters are
LAYERS = {
    "ab  cd(e)\nf": (
        [(0, 0), (0, 2), (4, 6), (6, 7), (7, 8), (0, 0)], [3, 3, 1, 2, 0, 3],
        [3, 3, 1, 1, 1, 1, 2, 0, UNREAD, UNREAD, UNREAD],
    ),
    "  a b": ([(0, 0), (2, 3), (4, 5), (0, 0)], [3, 1, 2, 0], [1, 1, 1, 1, 2]),
    "\na  b\n": ([(1, 2), (4, 5)], [0, 2], [0, 0, 0, 0, 2, UNREAD]),
    "a   b": ([(0, 1), (2, 2), (4, 5)], [2, 0, 3], [2, 2, 2, 2, 3]),
    "é b": ([(0, 1), (0, 1), (2, 3)], [2, 2, 1], [2, 1, 1]),
    "no": ([(0, 0), (0, 0)], [3, 3], [UNREAD, UNREAD]),
    "none": ([], [], [UNREAD] * 4),
    "": ([(0, 0)], [3], []),
}  # fmt: skip


@pytest.mark.parametrize("source", LAYERS, ids=repr)
def test_a_gap_has_the_lower_layer_and_the_end_is_unread(source):
    spans, last, expected = LAYERS[source]
    assert layers_of_characters(source, spans, last) == expected


@pytest.mark.parametrize(
    ("language", "source", "kinds"),
    [
        ("python", "def f(x): # if\n return 'def' + 12", "kkk f     cccc  kkkkkk sssss     "),
        ("python", "# def\nx = 1.5", "ccccc        "),
        ("powershell", "function f { # if\n return 'if' }", "kkkkkkkk     cccc  kkkkkk ssss  "),
        ("powershell", "<# if\n#> if", "cccccccc kk"),
        ("c", "int f() { return 7; }", "kkk f     kkkkkk     "),
        ("text", "def f(): # if", "             "),
        ("python", "", ""),
    ],
)
def test_kinds_are_those_of_the_language(language, source, kinds):
    assert "".join(kind or " " for kind in kinds_of(source, language)) == kinds


def tokens_of(source, last):
    """Words and signs are tokens between two special ones; a sign beyond ASCII is two tokens, as of a byte tokenizer.

    `last` gives their layers; from the first token that has none on the function is cut.
    """
    words = [word.span() for word in re.finditer(r"\w+|\S", source)]
    spans = [span for span in words for _ in range(1 if source[slice(*span)].isascii() else 2)]
    layers = [6, *last[: len(spans)], 6]
    return {"spans": [(0, 0), *spans[: len(last)], (0, 0)], "last_layer": layers}


@given(SOURCES, st.lists(st.integers(0, 6), max_size=60), LANGUAGES)
def test_lines_contain_the_source_with_its_styles(source, last, language):
    row = tokens_of(source, last)
    found = list(lines(source, row["spans"], row["last_layer"], language))
    assert "\n".join("".join(piece.text for piece in line) for line in found) == source
    characters = zip(layers_of_characters(source, **row), kinds_of(source, language), source, strict=True)
    expected = [own_style for *own_style, character in characters if character != "\n"]
    assert [[piece.layer, piece.kind] for line in found for piece in line for _ in piece.text] == expected
    for line in found:
        assert all(a[1:] != b[1:] for a, b in pairwise(line)), "characters of one style are one piece"


def test_empty_lines_have_no_pieces():
    found = list(lines("a\n\n b\n", [(0, 1), (4, 5)], [1, 2], "python"))
    assert found == [[Piece("a", 1, "")], [], [Piece(" ", 1, ""), Piece("b", 2, "")], []]


def test_html_escapes_and_marks():
    row = {"spans": [(0, 0), (0, 1), (1, 2), (2, 3), (0, 0)], "last_layer": [3, 3, 0, 1, 3]}
    assert as_html(row, "x<1 &\n\n'>'", "python", marked=(3,)) == (
        '<div><b>1</b><span class="l3">x</span><span class="l0">&lt;</span><span class="l1">1</span>'
        '<span class="u"> &amp;</span></div><div><b>2</b></div>'
        '<div class="found"><b>3</b><span class="u s">&#x27;&gt;&#x27;</span></div>'
    )


@given(SOURCES, st.lists(st.integers(0, 6), max_size=60), LANGUAGES, st.sets(st.integers(1, 4)))
def test_html_holds_the_source_and_no_other_tags(source, last, language, marked):
    page = as_html(tokens_of(source, last), source, language, sorted(marked))
    divs = re.findall(r"<div( class=\"found\")?><b>(\d+)</b>(.*?)</div>", page, re.DOTALL)
    assert [int(number) for _, number, _ in divs] == list(range(1, source.count("\n") + 2))
    assert [int(number) for mark, number, _ in divs if mark] == [n for n in sorted(marked) if n <= len(divs)]
    texts = [re.sub(r'<span class="(l[0-6]|u)( [kcsmf])?">([^<>]*)</span>', r"\3", line) for *_, line in divs]
    assert not re.search("[<>]", "".join(texts))
    assert "\n".join(map(html.unescape, texts)) == source


@pytest.mark.parametrize("layers", [1, 2, 5, 6, 12])
def test_shades_go_from_pale_to_dark(layers):
    found = [shade(layer, layers) for layer in range(layers + 1)]
    ends = [tuple(bytes.fromhex(code.removeprefix("#"))) for code in (SHADES[0], SHADES[-1])]
    assert [found[0], found[-1]] == ends
    assert all(sum(paler) > sum(darker) for paler, darker in pairwise(found))


def test_shades_between_are_interpolated():
    assert [shade(layer, 4) for layer in range(5)] == [tuple(bytes.fromhex(code[1:])) for code in SHADES]
    assert shade(1, 8) == (225, 234, 243) and shade(0, 0) == shade(0, 9)


CODES = re.compile(r"\x1b\[[0-9;]*m")


@pytest.mark.parametrize(
    "source",
    ["a = b  # é😀\n\n\tif a < b:\n\t\treturn\n", "one line", "", "\n\n"],
    ids=["lines", "line", "none", "empty"],
)
def test_a_terminal_shows_the_lines_as_they_are(source):
    text = as_terminal(tokens_of(source, [0, 3, 6, 2, 1]), source, 6, marked=(1, 3))
    own = [f"{'>' if number in (1, 3) else ' '}{number:4d} {line}" for number, line in enumerate(source.split("\n"), 1)]
    assert CODES.sub("", text).split("\n") == own


def test_a_terminal_has_the_colour_of_each_layer():
    text = as_terminal({"spans": [(0, 1), (1, 2)], "last_layer": [0, 2]}, "ab c", 2)
    assert text == (
        "    1 \x1b[48;2;243;243;244m\x1b[38;2;0;0;0ma\x1b[0m"
        "\x1b[48;2;8;81;156m\x1b[38;2;255;255;255mb\x1b[0m\x1b[2m c\x1b[0m"
    )


def contrast_with_text(colour):
    """Return the contrast ratio of a colour and the black or white text on it, by WCAG 2.2."""
    parts = [part / 255 for part in colour]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    light = sum(part * weight for part, weight in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))
    low, high = sorted((light, float(is_dark(colour))))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("layers", [1, 2, 3, 6, 12, 24])
def test_text_on_every_shade_can_be_read(layers):
    assert min(contrast_with_text(shade(layer, layers)) for layer in range(layers + 1)) >= 4.5
