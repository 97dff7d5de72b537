"""The page of surviving tokens: which functions it shows, and what it refuses."""

from __future__ import annotations

import html
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

import pruned_code
import show_pruning
from sparse_attention.errors import InputError

TEMPLATE = str(Path(__file__).parents[2] / "workflow" / "report" / "tokens.html.j2")
FUNCTIONS = pruned_code.functions()
CONTEXT = {"corpus": "mine", "classifier": "tiny", "pruning": "mode~threshold_final~0.005", "seed": "3"}


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """Return the script's input."""
    found = pruned_code.inputs(tmp_path_factory.mktemp("show"), model=pruned_code.model())
    found.template = TEMPLATE
    return found


def show(given, folder, functions, language="python"):
    """Run the script and return the page."""
    options = {"functions": functions, "language": language}
    params = SimpleNamespace(threads=1, device="cpu", batch_size=4, options=options, context=CONTEXT)
    page = folder / "tokens.html"
    show_pruning.main(SimpleNamespace(input=given, output=SimpleNamespace(page=str(page)), params=params))
    return page.read_text(encoding="utf-8")


def sources(page):
    """Return the functions on a page, by their number."""
    found = {}
    for section in page.split("<section>")[1:]:
        lines = re.findall(r"<div(?: class=\"found\")?><b>\d+</b>(.*?)</div>", section)
        number = int(re.search(r"#(\d+)</span>", section)[1])
        found[number] = html.unescape(re.sub("<[^<>]*>", "", "\n".join(lines)))
    return found


@pytest.mark.parametrize("count", [0, 1, 4, 99])
def test_test_functions_are_shown_whole(count, given, tmp_path):
    found = sources(show(given, tmp_path, count))
    test = {number: one.source for number, one in enumerate(FUNCTIONS) if one.split == "test"}
    assert len(found) == min(count, len(test)) and found.items() <= test.items() and list(found) == sorted(found)


def outcomes(page):
    return re.findall(r'<p class="verdict (?:right|wrong)">([a-z ]+?) <span', page)


def test_each_outcome_has_its_turn(given, tmp_path):
    there = set(outcomes(show(given, tmp_path, 99)))
    assert len(there) > 1 and there <= {"defect found", "defect missed", "false alarm", "rightly cleared"}
    assert sorted(outcomes(show(given, tmp_path, len(there)))) == sorted(there)


def test_lines_that_were_found_are_marked_and_the_run_is_named(given, tmp_path):
    page = show(given, tmp_path, 99)
    lines = [int(line) for line in re.findall(r'<div class="found"><b>(\d+)</b>', page)]
    assert lines and lines == [line for number in sources(page) for line in FUNCTIONS[number].lines]
    assert "mine · tiny · threshold, final 0.005 · seed 3 · 6 test functions" in page


def test_the_language_decides_what_is_marked(given, tmp_path):
    pages = {language: show(given, tmp_path, 99, language) for language in ("python", "text")}
    assert sources(pages["python"]) == sources(pages["text"])
    kinds = {language: set(re.findall(r'<span class="(?:l\d|u) (\w)">', page)) for language, page in pages.items()}
    assert kinds["text"] == set() and {"k", "f", "s"} <= kinds["python"]


def test_an_unknown_language_is_refused_first(tmp_path):
    with pytest.raises(InputError, match=r"show_pruning.language: 'esperanto' is not allowed; allowed"):
        show(SimpleNamespace(model="missing"), tmp_path, 4, "esperanto")
    assert not list(tmp_path.iterdir())
