"""The parser reads a page about once, even with many unclosed marks; ordinary pages do not change."""

from __future__ import annotations

import re

import pytest
from mwparserfromhell.parser.tokenizer import Tokenizer

from sparse_attention.data.markup import Renderer
from sparse_attention.data.unclosed import BUDGET, DEEPEST, GAP, Scan, mend

UNCLOSED = {
    "tables": "{|\n",
    "rows": "{|\n|-\n",
    "cells": "{|\n| a || b\n",
    "templates": "{{a|",
    "values": "{{a|b=",
    "links": "[[a|",
    "addresses": "[http://a.b c ",
    "references": "<ref name=a>",
    "comments": "<!--",
    "plain": "<nowiki>",
    "formulas": "<math>",
    "starts of tags": "<a ",
    "quotes": '<b a="',
    "crossed": "[[a|{{b|c]]",
    "everything": "{|\n{{a|[[b|''c<ref>",
    "a line each": "{{a|\nWords.\n",
}
NESTED = {
    "templates": ("{{a|", "}}"),
    "links": ("[[a|", "]]"),
    "tables": ("{|\n|\n", "\n|}\n"),
    "tags": ("<div>", "</div>"),
    "lists": ("<ul><li>", "</li></ul>"),
}


class CountingTokenizer(Tokenizer):
    """The parser in plain Python, which counts how often it looks at the text."""

    reads = 0

    def _read(self, *args, **options):
        self.reads += 1
        return super()._read(*args, **options)


def reads_per_character(wikitext: str) -> float:
    tokenizer = CountingTokenizer()
    tokenizer.tokenize(wikitext)
    return tokenizer.reads / len(wikitext)


def marks(wikitext: str) -> list[str]:
    return [wikitext[mark.start : mark.end] for _, mark in sorted(Scan(wikitext).unclosed.items())]


@pytest.mark.parametrize("name", UNCLOSED)
def test_a_mended_page_is_read_about_once(name):
    page = UNCLOSED[name] * 100
    assert reads_per_character(page) > 30 > 6 > reads_per_character(mend(page, 0))


@pytest.mark.parametrize("name", NESTED)
def test_a_page_with_marks_nested_too_deeply_is_read_about_once(name):
    before, after = NESTED[name]
    page = before * 200 + "x" + after * 200
    assert mend(page, 0) != page and reads_per_character(mend(page, 0)) < 6


@pytest.mark.parametrize("name", UNCLOSED)
def test_mending_does_not_change_the_text(name):
    page = f"Some words before.\n\n{UNCLOSED[name] * 8}\n\nSome words after."
    texts = [Renderer().render(version) for version in (page, mend(page, 0))]
    assert texts[0] == texts[1] and GAP not in texts[1]


@pytest.mark.parametrize(
    ("wikitext", "unclosed"),
    [
        ("{{a|{{b}}}} [[c|d]] <b>e</b> <ref name=f/> <br> <li>g\n{|\n|-\n| h\n|}\n[http://i j] <!-- k -->", []),
        ("{{{a|{{{b|}}}}}} {{{{c}}}}", []),
        ("<nowiki>{{ [[ <b> {|</nowiki> <math>{{a} <b</math> <!-- {{ [[ -->", []),
        ("1 < 2, ''a, == b, &c, }} ]] |} </b> >", []),
        ("<b a={{c|d=<ref>e</ref>}}>f</b>", []),
        ("{{a|[[b}}", ["[["]),
        ("{{a [[b|c]]", ["{{"]),
        ("<b>{{a|</b>", ["{{"]),
        ("<!-- a", ["<"]),
        ("<NoWiki>a</nowiki> <math>b", ["<"]),
        ("[http://a b\n]", ["["]),
        ("a {| b\n{| c\n :{| d", ["{|"]),
        ("{{{{a}}", ["{{"]),
    ],
)
def test_unclosed_marks_are_found(wikitext, unclosed):
    assert marks(wikitext) == unclosed


def test_marks_count_by_what_follows_them():
    assert Scan("ab{{cd").reread == 4 and Scan("{{{{").reread == 4 + 2
    assert Scan("[http://a\n" + "b" * 100).reread == len("[http://a\n")


def test_only_marks_nested_too_deeply_become_text():
    page = "<div>" * (DEEPEST + 2) + "a" + "</div>" * (DEEPEST + 2)
    assert len(Scan(page).unclosed) == 2 and mend(page, 0).count(GAP) == 2
    assert marks("<div>" * DEEPEST + "a" + "</div>" * DEEPEST) == []


def test_a_page_within_the_budget_is_not_changed():
    page = "{{a|" * 100
    cost = Scan(page).reread
    assert mend(page, cost) is page and mend(page, cost - 1) == "".join(f"{{{GAP}{{{GAP}a|" for _ in range(100))
    assert mend("Many words. " * BUDGET, BUDGET).count(GAP) == 0


@pytest.mark.parametrize("name", UNCLOSED)
def test_a_very_large_page_takes_little_time(name):
    renderer = Renderer()
    text = renderer.render(UNCLOSED[name] * 20_000 + "\n\nSome words after.")
    assert renderer.mended and not re.search(r"\{\{|\[\[|\x1f", text)
    assert renderer.render("Some words.") == "Some words." and not renderer.mended


def test_a_line_of_endless_equals_signs_is_text():
    page = "An article.\n" + "=a" * 100_000 + "\n== Part ==\nAnother paragraph of it."
    rendered = Renderer("2020-01-01", frozenset()).render(page)
    assert rendered.startswith("An article.") and rendered.endswith("Another paragraph of it.")
