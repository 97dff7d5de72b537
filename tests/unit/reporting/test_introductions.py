"""The texts that open the sections on code say what the run did, and nothing that it did not."""

from __future__ import annotations

import pytest

from plans import plan
from sparse_attention.reporting import introductions

TABLE = {"path": "/data/functions.csv", "format": "table"}
MATCHED = "negatives were chosen to be as long as the positives"
REPEATS = "exact and near repeats one is kept, so no function is in two splits."


def config(**changes):
    return plan(**changes).config


def own(**entry):
    return {"code": "mine", "code_corpora": {"mine": {**TABLE, **entry}}}


@pytest.mark.parametrize(
    ("changes", "said", "unsaid"),
    [
        ({}, (REPEATS, "No project is in two splits.", f"{MATCHED} and from the same project", "cannot be guessed"),
         ("Where projects are known",)),
        ({"prepare_code__negatives": None}, ("were not chosen by length", "may be guessed"), (MATCHED, "cannot")),
        ({"prepare_code__overlap": "keep"}, ("within a split", "Splits were not compared"), ("no function",)),
        ({"prepare_code__overlap": "refuse"}, (REPEATS,), ()),
        ({"prepare_code__near_duplicates": None}, ("Of exact repeats one is kept",), ("near",)),
        (own(project_column="repo"), ("Where projects are known, no project is in two splits.",), ("one by one",)),
        (own(), ("split one by one", f"{MATCHED}, so", "from length."), ("project is in", "style")),
        (own(files={"train": "a", "test": "b"}), ("splits are those of the data set, with a validation split taken",
                                                  "whether a project is in several"), ("no project", "one by one")),
        (own(files={"train": "a", "validation": "c", "test": "b"}), ("those of the data set;",), ("taken from train",)),
    ],
    ids=["default", "all negatives", "overlap kept", "overlap refused", "exact repeats", "projects", "no projects",
         "two splits of their own", "three splits of their own"],
)  # fmt: skip
def test_functions_are_described_as_they_were_prepared(changes, said, unsaid):
    text = introductions.functions(config(**changes))
    assert text.startswith("Functions that are labelled as defective (1) or not (0). ")
    assert [part for part in said if part not in text] == [part for part in unsaid if part in text] == []


def test_nothing_is_said_of_functions_whose_settings_are_unknown():
    assert introductions.functions({}) == "Functions that are labelled as defective (1) or not (0)."


@pytest.mark.parametrize(
    ("modes", "said", "unsaid"),
    [
        (["threshold"], ("learns a threshold of importance", "soft weights"), ("Top-k", "Linear", "Random")),
        (["manual"], ("soft weights at thresholds that are set and not learned",), ("learns", "Top-k", "Random")),
        (["topk"], ("Top-k: each layer keeps the most important",), ("threshold", "soft", "Random")),
        (["random"], ("Random: each layer keeps random tokens",), ("threshold", "soft", "important")),
        (["threshold", "topk"], ("Learned thresholds: ", "Top-k: "), ("Random", "Linear")),
    ],
    ids=["threshold", "manual", "topk", "random", "two"],
)
def test_classifiers_are_described_by_their_prunings(modes, said, unsaid):
    text = introductions.classifiers(config(), modes, False)
    assert text.startswith("A classifier of code was fine-tuned, and then pruned. ") and "trained further" not in text
    assert [part for part in said if part not in text] == [part for part in unsaid if part in text] == []


def test_a_supplied_classifier_is_not_called_fine_tuned():
    supplied = config(train_classifier__source="/data/classifier")
    text = introductions.classifiers(supplied, ["threshold"], False)
    assert text.startswith("A classifier of code was supplied by the user and not fine-tuned, and then pruned. ")
    assert "was trained on some of its functions is not known" in text
    assert introductions.stages(supplied, ["topk"])[0] == ("Dense", "the supplied classifier")


def test_training_after_hard_pruning_is_told():
    assert "is then trained further" in introductions.classifiers(config(prune_hard__epochs=1), ["topk"], False)


@pytest.mark.parametrize(
    ("baselines", "where"),
    [(True, "here and for the baselines above."), (False, "here.")],
    ids=["baselines", "no baselines"],
)
def test_every_use_of_the_test_split_is_named(baselines, where):
    text = introductions.classifiers(config(), ["topk"], baselines)
    assert f"The test split is used for evaluation only, {where}" in text


def test_only_prunings_with_thresholds_have_a_soft_stage():
    names = {
        modes: [name for name, _ in introductions.stages({}, modes)] for modes in (("topk", "random"), ("manual",))
    }
    assert list(names.values()) == [["Dense", "hard"], ["Dense", "soft", "hard"]]


def test_modes_are_those_of_the_pruned_classifiers():
    names = ["mode~topk_final~0.3", "mode~threshold_lambda~0.1_final~0.005", "mode~topk_final~0.2", "another"]
    assert introductions.modes_of(names) == ["threshold", "topk"]
