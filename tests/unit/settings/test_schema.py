"""Values are checked against a schema, and messages say what a refused value may mean."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import yaml

from sparse_attention.files.yaml import dotted
from sparse_attention.files.yaml_values import LONGEST, number_in_yaml, shown
from sparse_attention.settings.schema import Schema, nearest

SCHEMAS = Path(__file__).parents[3] / "workflow" / "schemas"
RATE = {"$ref": "#/$defs/rate"}
SCHEMA = Schema({
    "$defs": {
        "rate": {"type": "number", "exclusiveMinimum": 0},
        "many": {"oneOf": [RATE, {"type": "array", "uniqueItems": True, "items": RATE}]},
    },
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "rate": RATE,
        "rates": {"$ref": "#/$defs/many"},
        "p": {"type": "number", "minimum": 1, "infinite": True},
        "steps": {"type": ["integer", "null"], "minimum": 1},
        "seeds": {"type": "array", "minItems": 1, "items": {"type": "integer"}},
        "bf16": {"type": "boolean"},
        "name": {"type": "string", "pattern": "^[a-z0-9]+$", "description": "a name"},
        "keep": {"enum": ["none", "cls"]},
        "by_name": {"propertyNames": {"pattern": "^[a-z]+$", "description": "small letters"}},
        "entries": {
            "items": {
                "required": ["mode", "final"],
                "properties": {"mode": {"oneOf": [{"enum": ["topk", "random"]}, {"type": "array"}]}},
            },
        },
    },
})  # fmt: skip


def problems(**values):
    return {problem.key: problem.text for problem in SCHEMA.problems(values)}


@pytest.mark.parametrize("text", ["5e-4", "5E4", "5e+4", "1.5e3", ".5e-3", "+2e1", "-1e-1", "007e2"])
def test_numbers_are_written_so_that_yaml_reads_them(text):
    written = number_in_yaml(text)
    assert isinstance(yaml.safe_load(text), str) or text == ".5e-3"
    assert yaml.safe_load(written) == float(text) and isinstance(yaml.safe_load(written), float)


@pytest.mark.parametrize("text", ["", ".", "e5", "many", "1e", "nan", "inf", "0x10", "1e5x"])
def test_other_text_is_not_a_number(text):
    assert number_in_yaml(text) is None


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("rate", "5e-4", "'5e-4' is not allowed; YAML reads it as text, write 5.0e-4; allowed: a number above 0"),
        ("rate", "0.5", "it is text, write 0.5 without quotes"),
        ("rate", "5.0e-4", "it is text, write 5.0e-4 without quotes"),
        ("rate", "many", "'many' is not allowed; allowed"),
        ("rate", math.nan, ".nan is not allowed; it is not a finite number"),
        ("rate", math.inf, ".inf is not allowed; it is not a finite number"),
        ("rate", -math.inf, "-.inf is not allowed"),
        ("rate", True, "true is not allowed; allowed: a number above 0"),
        ("rates", "1e-1", "write 1.0e-1; allowed: a number above 0, or a list of these without repeats"),
        ("p", math.nan, ".nan is not allowed"),
        ("steps", "1e3", "YAML reads it as text, write 1000;"),
        ("steps", 1000.0, "write 1000 without a point; allowed: a whole number at least 1, or null"),
        ("steps", 1.5, "1.5 is not allowed; allowed"),
        ("steps", "none", "write null"),
        ("steps", True, "true is not allowed"),
        ("seeds", 3, "for a list of one write [3]"),
        ("bf16", "true", "it is text, write true without quotes"),
        ("bf16", 1, "1 is not allowed; allowed: true | false"),
        ("name", 2016, "it is a number; to make it text write '2016' in quotes"),
        ("name", False, "YAML reads yes, no, on and off as true or false"),
        ("name", "A/B", "'A/B' is not allowed; allowed: a name"),
        ("keep", "clss", "'clss' is not allowed; did you mean cls? allowed: none | cls"),
        ("keep", False, "YAML reads yes, no, on and off"),
    ],
)  # fmt: skip
def test_the_message_says_what_a_refused_value_may_mean(name, value, words):
    assert words in problems(**{name: value})[(name,)]


def test_items_of_a_list_are_named():
    assert problems(rates=[0.5, "1e-1", math.nan]).keys() == {("rates", 1), ("rates", 2)}
    assert problems(p=math.inf, rates=[0.5, 1], steps=None, rate=1) == {}


def test_no_keys_are_missing_when_the_deciding_key_is_wrong():
    assert problems(entries=[{"mode": "topp"}]).keys() == {("entries", 0, "mode")}
    assert "did you mean topk?" in problems(entries=[{"mode": "topp"}])["entries", 0, "mode"]
    assert problems(entries=[{"mode": "topk"}]) == {("entries", 0, "final"): "is missing"}
    assert problems(entries=[{}]).keys() == {("entries", 0, "mode"), ("entries", 0, "final")}


def test_names_are_checked():
    assert problems(by_name={"A": 1}) == {("by_name", "A"): "not allowed as a name; allowed: small letters"}
    assert "write a space after the colon" in problems(**{"steps:20": None})[("steps:20",)]
    assert [one.key for one in SCHEMA.problems({"by_name": {7: 1, None: {True: 2}}})] == [
        ("by_name", "7"), ("by_name", "None"), ("by_name", None, "True"),
    ]  # fmt: skip


def test_fitting_values_are_known_below_references_and_alternatives():
    assert SCHEMA.fits(("rates",), 0.5) and SCHEMA.fits(("rates",), [0.5]) and not SCHEMA.fits(("rates",), "x")
    assert SCHEMA.fits(("rates", 3), 0.5) and not SCHEMA.fits(("rates", 3), -1)
    assert SCHEMA.fits(("no", "such", 1, "key"), object())


def test_long_values_are_cut():
    text = problems(seeds="x" * 10_000)[("seeds",)]
    assert len(text) < 4 * LONGEST
    assert shown({"a": [None, True, math.nan], "b": "c"}) == "{a: [null, true, .nan], b: 'c'}"


def test_unprintable_text_is_escaped_in_one_line():
    for text in (problems(seeds="a\nb")[("seeds",)], problems(keep="\ud800")[("keep",)]):
        assert "\n" not in text and text.encode()
    assert dotted(("a\nb", 1, "\ud800", "c.d", "x" * 1000)).startswith(r"'a\nb'[1].'\ud800'.c.d.'xxx")
    assert len(dotted(("x" * 1000,))) <= LONGEST
    assert len(problems(**{"x" * 100_000: 1})[("x" * 100_000,)]) < LONGEST * 2


def test_nearest():
    assert nearest("stepz", ["steps", "seeds"]) == "did you mean steps?"
    assert nearest("xyz", ["steps", "seeds"]) == "allowed: steps, seeds"


@pytest.mark.parametrize("file", sorted(SCHEMAS.glob("*.yaml")), ids=lambda path: path.name)
def test_every_pattern_is_described_in_words(file):
    def bare(schema):
        if isinstance(schema, dict):
            if "pattern" in schema and "description" not in schema:
                yield schema
            schema = list(schema.values())
        if isinstance(schema, list):
            for item in schema:
                yield from bare(item)

    assert list(bare(yaml.safe_load(file.read_text()))) == []
