"""Settings in `--config` get the types of the schema, and mistakes that Snakemake would ignore are refused."""

from __future__ import annotations

import pytest

from sparse_attention.errors import InputError
from sparse_attention.settings.command_line import problems_of, read_settings, refuse_repeated
from sparse_attention.settings.config import command_line_settings, schema


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("seeds=[1,2]", [1, 2]),
        ("seeds='[1, 2]'", [1, 2]),
        ("seeds=[1e3]", [1000]),
        ("seeds=", None),
        ("code=null", None),
        ("code=None", None),
        ("code=", None),
        ("corpus=2016", "2016"),
        ("corpus=1e3", "1e3"),
        ("corpus=010", "010"),
        ("corpus=2016-01-31", "2016-01-31"),
        ("corpus=on", "on"),
        ("corpus='null'", "null"),
        ("corpora={2016: {path: a.txt, format: text}}", {"2016": {"path": "a.txt", "format": "text"}}),
        ("train_mlm={steps: 20}", {"steps": 20}),
        ("train_mlm={'steps': 20, 'bf16': True, 'dropout': None}", {"steps": 20, "bf16": True, "dropout": None}),
        ("train_mlm={learning_rate: 5e-4, steps: 1e3}", {"learning_rate": 5e-4, "steps": 1000}),
        ('train_mlm={"anneal": {"start": 1.5, "steps": 3}}', {"anneal": {"start": 1.5, "steps": 3}}),
        ("evaluate={keep: [none, cls]}", {"keep": ["none", "cls"]}),
        ("predictors={cos: {threshold: [1e-1, [0.1, 2e-1]]}, window: null}",
         {"cos": {"threshold": [0.1, [0.1, 0.2]]}, "window": None}),
        ("predictors={minkowski: {p: .inf, threshold: 1}}", {"minkowski": {"p": float("inf"), "threshold": 1}}),
        ("prunings=[{mode: topk, final: [1e-1, 0.2]}]", [{"mode": "topk", "final": [0.1, 0.2]}]),
        ("fit_clusters={source: centroids/*.pt}", {"source": "centroids/*.pt"}),
        # not YAML, or not what is wanted: it is refused as the text it is
        ("seeds=[1", "[1"),
        ("seeds=[010, x]", ["010", "x"]),
    ],
)  # fmt: skip
def test_values_get_the_types_that_the_schema_asks_for(entry, value):
    (found,) = read_settings([entry], schema()).values()
    assert found == value and repr(found) == repr(value)


def test_settings_of_a_workflow_around_this_one_are_left_out():
    assert command_line_settings(["seeds=[1]", "other=3"], {"seeds": ["1"]}) == {"seeds": [1]}


def test_parts_of_a_section_are_merged_and_repeats_refused():
    assert read_settings(["train_mlm={steps: 20}", "train_mlm={bf16: true}"], schema()) == {
        "train_mlm": {"steps": 20, "bf16": True}
    }
    for entries in (["seeds=[1]", "seeds=[2]"], ["train_mlm={steps: 1}", "train_mlm={steps: 2}"]):
        with pytest.raises(InputError, match=r"--config: (seeds|train_mlm\.steps): appears twice"):
            read_settings(entries, schema())
    with pytest.raises(InputError, match=r"--config: train_mlm\.steps: appears twice"):
        read_settings(["train_mlm={steps: 1, steps: 2}"], schema())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--configfile a.yaml --cores 1 --configfile b.yaml", "--configfile appears twice"),
        ("--configfile=a.yaml --configfiles b.yaml", "--configfile appears twice"),
        ("--config seeds=[1] -C code=null", "--config appears twice"),
    ],
)
def test_a_repeated_option_is_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        refuse_repeated(arguments.split())
    assert any(words in problem for problem in problems_of(arguments.split()))


def test_a_command_line_that_can_be_read_has_no_problem(tmp_path):
    (tmp_path / "a.yaml").write_text("seeds: [1]\n")
    arguments = ["figures", "--configfile", f"{tmp_path}/a.yaml", "--config", "seeds=[1]", "a_b={c: 1}", "--cores", "1"]
    assert problems_of(arguments) == []
    refuse_repeated(arguments)


def test_arguments_that_snakemake_cannot_read_are_reported(tmp_path):
    (tmp_path / "a.yaml").write_text("seeds: [1]\nseeds: [2]\n")
    arguments = [
        "--config",
        "train_mlm.anneal.steps=3",
        "seeds",
        "--configfile",
        f"{tmp_path}/a.yaml",
        "none.yaml",
        "figures",
    ]
    duplicate, none, target, dotted, bare = problems_of(arguments)
    assert "a.yaml, lines 1 and 2: seeds: appears twice" in duplicate
    assert none == "none.yaml: no such file"
    assert target.startswith("figures: no such file; ") and "put targets before --configfile" in target
    assert dotted.endswith("write train_mlm='{anneal: {steps: 3}}'")
    assert "'seeds' is not allowed; allowed: KEY=VALUE" in bare
