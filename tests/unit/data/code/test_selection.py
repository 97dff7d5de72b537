"""Splits share no project and no repeat; negatives have the lengths of positives; order does not depend on labels."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from sparse_attention.data.code import selection
from sparse_attention.data.code.functions import Function, Intake
from sparse_attention.data.splits import Shares
from sparse_attention.errors import InputError

SHARES = Shares(0.6, 0.2, 0.2, seed=1)


def functions(projects=8, each=40, positive=0.2, seed=0):
    rng = random.Random(seed)
    return [
        Function(f"f{project}_{number}" + " x" * rng.randint(5, 90), int(rng.random() < positive), f"p{project}")
        for project in range(projects)
        for number in range(each)
    ]


def test_a_project_is_in_one_split_only():
    found = selection.assign_splits(functions(), SHARES)
    of_project = {(f.project, f.split) for f in found}
    assert len(of_project) == 8 and {split for _, split in of_project} == {"train", "validation", "test"}


def test_named_projects_go_to_their_splits():
    found = selection.assign_splits(functions(), SHARES, {"validation": ["p3"], "test": ["p0", "p7"]})
    assert {f.project for f in found if f.split == "validation"} == {"p3"}
    assert {f.project for f in found if f.split == "test"} == {"p0", "p7"}
    with pytest.raises(InputError, match="projects: luigi: not in the data set; allowed: p0, p1"):
        selection.assign_splits(functions(), SHARES, {"validation": ["p3"], "test": ["luigi"]})


def test_without_projects_equal_functions_stay_together():
    many = [replace(f, project="") for f in functions()]
    found = selection.assign_splits([*many, *many], SHARES)
    assert [f.split for f in found[: len(many)]] == [f.split for f in found[len(many) :]]
    shares = Counter(f.split for f in found[: len(many)])
    assert shares["train"] / len(many) == pytest.approx(0.6, abs=0.08)


@pytest.mark.parametrize("project", ["", "p"], ids=["by function", "by project"])
def test_validation_is_cut_from_train_and_never_from_test(project):
    given = [
        replace(f, split="test" if n % 4 == 0 else "train", project=project and f"{project}{n % 10}")
        for n, f in enumerate(functions())
    ]
    found = selection.assign_splits(given, SHARES)
    assert all((f.split == "test") == (g.split == "test") for f, g in zip(found, given, strict=True))
    share = sum(f.split == "validation" for f in found) / sum(f.split != "test" for f in found)
    assert share == pytest.approx(0.25, abs=0.15)
    if project:
        units = {(f.project, f.split) for f in found if f.split != "test"}
        assert len(units) == len({name for name, _ in units})


def test_splits_of_the_data_set_are_kept():
    given = [replace(f, split=("train", "validation", "test")[n % 3]) for n, f in enumerate(functions())]
    assert selection.assign_splits(given, SHARES) == given


def test_of_repeats_the_one_in_train_is_left_out_first():
    body = " ".join(f"w{n}" for n in range(40))
    given = [
        Function(body, 1, split="train"),
        Function(body.replace("w39", "v"), 1, split="validation"),
        Function(body + "\n", 0, split="test"),
        Function("other " * 9, 0, split="train"),
    ]
    intake = Intake()
    kept = selection.without_repeats(given, 0.8, "drop", intake)
    assert [f.split for f in kept] == ["test", "train"]
    assert intake.dropped == {"repeats another one": 1, "nearly repeats another one": 1}
    assert len(selection.without_repeats(given, None, "drop", Intake())) == 3
    assert len(selection.without_repeats(given, 0.8, "keep", Intake())) == 4
    with pytest.raises(InputError, match=r"1 functions are in two splits, as 'w0 w1.*prepare_code.overlap: drop"):
        selection.without_repeats(given, 0.8, "refuse", Intake())


def test_negatives_have_the_lengths_and_projects_of_positives():
    many = functions(each=200, positive=0.1)
    many = [replace(f, source=f.source + " y" * 40) if f.label else f for f in many]
    chosen = selection.choose(many, 1, None, 0)
    positives, negatives = ([f for f in chosen if f.label == label] for label in (1, 0))
    assert len(positives) == len(negatives) == sum(f.label for f in many)
    assert Counter(f.project for f in positives) == Counter(f.project for f in negatives)
    lengths = [np.median([len(f.source) for f in part]) for part in (positives, negatives)]
    before = np.median([len(f.source) for f in many if not f.label])
    assert abs(lengths[0] - lengths[1]) < 0.4 * abs(lengths[0] - before)


def test_negatives_are_the_nearest_in_length_without_repeats():
    positives = [Function("x" * n, 1, "p") for n in (10, 10, 50)]
    others = [Function(c * n, 0, p) for c, n, p in (("a", 9, "p"), ("b", 12, "p"), ("c", 11, "q"), ("d", 48, "q"))]
    matched = selection._matched(positives, others, 3)
    assert [f.source[0] for f in matched] == ["a", "b", "d"]
    assert len(selection.choose([*positives, *others], 9, None, 0)) == 7


@pytest.mark.parametrize("negatives", [None, 1, 2.5])
def test_the_number_of_functions_is_limited(negatives):
    chosen = selection.choose(functions(each=100), negatives, 70, 0)
    assert len(chosen) == pytest.approx(70, abs=1)
    if negatives is not None:
        assert sum(f.label for f in chosen) == round(70 / (1 + negatives))
    assert selection.choose(functions(each=100)[::-1], negatives, 70, 0) == chosen
    assert selection.choose(functions(each=100), negatives, 70, 1) != chosen


def test_lines_are_counted():
    given = [Function("\n".join("x" * n), 0) for n in (1, 3, 4, 9)]
    intake = Intake()
    assert selection.within_lines(given, 3, 4, intake) == given[1:3]
    assert intake.dropped == {
        "has fewer lines than prepare_code.min_lines (3)": 1,
        "has more lines than prepare_code.max_lines (4)": 1,
    }
    assert len(selection.within_lines(given, 1, None, Intake())) == 4


def test_a_split_needs_both_labels():
    good = [Function("a", label, split=split) for split in ("train", "validation", "test") for label in (0, 1)]
    intake = Intake()
    intake.read = 9
    intake.drop("repeats another one", 3)
    selection.require_both_labels(good, intake, "keys")
    message = r"allowed: some of each \(9 read; left out: 3 repeats another one; keys decide\)"
    with pytest.raises(
        InputError, match=f"the split validation has 0 functions of label 0 and 1 of label 1; {message}"
    ):
        selection.require_both_labels([f for f in good if (f.split, f.label) != ("validation", 0)], intake, "keys")
    with pytest.raises(InputError, match="the split test has 0 functions of label 0 and 0 of label 1"):
        selection.require_both_labels([f for f in good if f.split != "test"], intake, "keys")
