"""The page of functions: which ones it shows, and that it shows them whole, by itself."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from sparse_attention.data.code.functions import Function
from sparse_attention.pruning.export import Traced
from sparse_attention.reporting.gallery import choose_functions, render

TEMPLATE = str(Path(__file__).parents[3] / "workflow" / "report" / "tokens.html.j2")
CONTEXT = {"corpus": "big-vul", "classifier": "<bert>", "pruning": "mode~threshold_final~0.005", "seed": 7}
OUTCOMES = {"found": (1, 0.9), "missed": (1, 0.4), "alarm": (0, 0.5), "cleared": (0, 0.1)}


def made(*outcomes):
    """Return functions and what became of them; only every second function is traced."""
    functions, traced = [], {}
    for number, outcome in enumerate(outcomes):
        label, probability = OUTCOMES[outcome]
        functions += [Function("left out", 1 - label), Function("a b", label)]
        spans, layers = [(0, 0), (0, 1), (2, 3), (0, 0)], [2, number % 3, 1, 0]
        traced[2 * number + 1] = Traced(2 * number + 1, probability, [0, 5, 6, 1], spans, layers, [0.1] * 4)
    return functions, traced


@pytest.mark.parametrize(
    ("outcomes", "count", "expected"),
    [
        ("found found missed missed alarm alarm cleared cleared", 4, [1, 5, 9, 13]),
        ("cleared cleared alarm alarm missed missed found found", 5, [1, 5, 9, 13, 15]),
        ("cleared cleared cleared cleared alarm found", 4, [1, 3, 9, 11]),
        ("cleared cleared cleared cleared alarm found", 5, [1, 3, 5, 9, 11]),
        ("cleared alarm missed found", 2, [5, 7]),
        ("missed missed missed", 2, [1, 3]),
        ("missed cleared", 9, [1, 3]),
        ("missed cleared", 0, []),
        ("", 3, []),
    ],
    ids=["one-of-each", "found-first", "few-kinds", "few-kinds-second-turn", "fewer-than-kinds", "one-kind",
         "fewer-than-asked", "none-asked", "none-there"],
)  # fmt: skip
def test_each_outcome_has_its_turn(outcomes, count, expected):
    assert choose_functions(*made(*outcomes.split()), count) == expected


class Page(HTMLParser):
    """What a page shows: the text of each line of each function, classes with their text, other text, and tags."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.functions, self.pieces, self.text, self.open = set(), [], [], [], "", []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in ("meta", "input"):
            self.open.append((tag, dict(attrs).get("class", "")))
        if tag == "pre":
            self.functions.append([])
        if tag == "div":
            self.functions[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        inside = [tag for tag, _ in self.open]
        if "pre" in inside and inside[-1] == "span":
            self.functions[-1][-1] += data
            self.pieces.append((self.open[-1][1], data))
        elif "style" not in inside:
            self.text += data


SOURCES = [
    'def f(a):\n\n\treturn "<b>" & a  # é😀',
    "x = 1\r\ny = '{{ context }}'",
    "</pre><script>alert(1)</script>",
    "cut off here",
]


@pytest.fixture(scope="module")
def page():
    functions = [
        Function(source, number % 2, "p<q>", f"{number}.py" if number else "", "B602", (3,) if not number else ())
        for number, source in enumerate(SOURCES)
    ]
    tokens = {0: [6, 6, 5, 0, 2, 6], 1: [6, 1, 0, 0, 0, 0], 2: [6, 6, 6, 6, 6, 6], 3: [6, 0, 0]}
    traced = {
        number: Traced(
            number, (0.876, 0.5, 0.123, 0.4)[number], [0] * len(last),
            [(0, 0), *((place, place + 1) for place in range(len(last) - 2)), (0, 0)], last, [0.0] * len(last),
        )
        for number, last in tokens.items()
    }  # fmt: skip
    return render(TEMPLATE, functions, traced, 6, "python", CONTEXT)


def test_every_function_is_shown_whole(page):
    assert Page(page).functions == [source.split("\n") for source in SOURCES]


def test_tokens_are_counted_after_each_layer(page):
    counts = re.findall(r"tokens: ([\d → ]+) \((\d+) % survive\)", Page(page).text)
    assert counts == [
        ("6 → 5 → 5 → 4 → 4 → 4 → 3", "50"),
        ("6 → 2 → 1 → 1 → 1 → 1 → 1", "17"),
        ("6 → 6 → 6 → 6 → 6 → 6 → 6", "100"),
        ("3 → 1 → 1 → 1 → 1 → 1 → 1", "33"),
    ]


def test_outcomes_and_names_are_shown(page):
    text = " ".join(Page(page).text.split())
    for part in (
        "big-vul · <bert> · threshold, final 0.005 · seed 7 · 4 test functions",
        "p<q> #0 false alarm label 0 (B602), probability of a defect 0.88",
        "p<q> · 1.py #1 defect found label 1 (B602), probability of a defect 0.50",
        "p<q> · 2.py #2 rightly cleared label 0 (B602), probability of a defect 0.12",
        "p<q> · 3.py #3 defect missed label 1 (B602), probability of a defect 0.40",
    ):
        assert part in text
    assert page.count('class="verdict wrong"') == page.count('class="verdict right"') == 2


def test_the_page_needs_nothing_but_itself(page):
    found = Page(page)
    assert not found.open and not found.tags & {"script", "link", "img", "iframe", "object", "a", "base"}
    assert not {name for name, _ in found.attributes} & {"src", "href", "srcset", "data", "action"}
    assert not re.search(r"url\(|@import|https?:|//[a-z]", page)
    assert ("http-equiv", "Content-Security-Policy") in found.attributes


def test_classes_have_colours_and_each_layer_a_view(page):
    style = page.split("<style>")[1].split("</style>")[0]
    classes = {name for names, _ in Page(page).pieces for name in names.split()}
    assert {"l6", "l5", "l2", "l0", "u", "k", "s", "c"} <= classes
    for name in classes:
        assert re.search(rf"\.{name}[, ]", style), name
    for layer in range(7):
        assert f'id="after{layer}"' in page and f'for="after{layer}"' in page
        hidden = [gone for gone in range(7) if f"#after{layer}:checked ~ main .l{gone}" in style]
        assert hidden == list(range(layer))
    assert page.count(" checked>") == 1


def test_the_line_that_was_found_is_marked(page):
    assert re.findall(r'<div class="found"><b>(\d+)</b>', page) == ["3"]


def test_a_context_without_a_needed_key_is_an_error():
    with pytest.raises(UndefinedError, match="no attribute 'seed'"):
        render(TEMPLATE, *made("found"), 2, "python", {name: CONTEXT[name] for name in CONTEXT if name != "seed"})
