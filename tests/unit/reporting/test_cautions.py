"""The report says which numbers mean nothing, and is silent when all is well."""

import pandas as pd
import pytest

from sparse_attention.files.tables import read_table
from sparse_attention.reporting.cautions import cautions, of_classifiers, of_fronts, of_language_models, of_seeds

NAMES = ("mode~threshold_final~0.1", "mode~topk_final~0.3")
GOOD = {"f1": 0.75, "recall": 0.8, "false_alarm_rate": 0.3, "roc_auc": 0.82, "roc_auc_low": 0.75, "roc_auc_high": 0.9}
POSITIVE = {"f1": 0.667, "recall": 1.0, "false_alarm_rate": 1.0}
CHANCE = {"roc_auc": 0.46, "roc_auc_low": 0.38, "roc_auc_high": 0.54}


def quality(names=NAMES[:1], kept=0.4, **changes):
    """Return the table of classifiers; `changes` holds what is different for a system."""
    rows = [
        {"pruning": name, "system": system, "way": way, "kept_share": kept if system == "hard" else 1.0}
        | GOOD | changes.get(system, {})
        for name in names
        for system in ("dense", "hard", "random")
        for way in ("masked", "dropped")
    ]  # fmt: skip
    return pd.DataFrame(rows)


def baselines(f1=0.667):
    rows = [("majority", "validation", 0.9), ("majority", "test", f1), ("tf-idf", "test", 0.9)]
    return pd.DataFrame(rows, columns=["classifier", "split", "f1"])


def texts(found):
    assert all(caution.sections == ("pruning",) for caution in found)
    return [caution.text for caution in found]


def test_nothing_is_said_of_good_classifiers():
    assert of_classifiers(quality(NAMES), baselines()) == []
    assert of_classifiers(quality(NAMES), None) == []


def test_classifiers_that_call_everything_defective_are_named_once():
    (text,) = texts(of_classifiers(quality(dense=POSITIVE, hard=POSITIVE), baselines()))
    assert text.startswith(
        "The dense and hard classifiers call (nearly) every test function defective: an F1 of 0.667 can"
    )
    assert "a difference of 0 between them, however narrow its interval, says nothing about pruning" in text


def test_a_classifier_that_calls_nothing_defective_is_named():
    (text,) = texts(of_classifiers(quality(hard={"f1": 0.0, "recall": 0.0, "false_alarm_rate": 0.004}), baselines()))
    assert text.startswith("The hard classifier calls (nearly) every test function free of defects: an F1 of 0.000")
    assert "difference" not in text


def test_several_prunings_are_told_apart():
    table = quality(NAMES)
    table.loc[(table["pruning"] == NAMES[1]) & (table["system"] == "hard"), list(POSITIVE)] = list(POSITIVE.values())
    (text,) = texts(of_classifiers(table, None))
    assert "every test function defective (topk, final 0.3)" in text


@pytest.mark.parametrize("names", [NAMES[:1], NAMES], ids=["one pruning", "two prunings"])
def test_ranking_by_chance_is_named_with_its_interval_and_once_for_the_dense_classifier(names):
    (text,) = texts(of_classifiers(quality(names, dense=CHANCE), None))
    assert text.startswith("By ROC AUC the dense (0.460, 95 % interval 0.380 to 0.540) classifier ranks defective")
    assert "topk" not in text
    named = texts(of_classifiers(quality(names, dense=CHANCE, hard=CHANCE), None))
    assert len(named) == len(names) and all("0.540) classifiers rank" in text for text in named)
    assert ("0.5 (topk, final 0.3); their" in named[-1]) == (len(names) > 1)


def test_an_interval_above_chance_or_none_at_all():
    assert of_classifiers(quality(dense={"roc_auc": 0.53, "roc_auc_low": 0.51}), None) == []
    without = quality(dense={"roc_auc": 0.49}).drop(columns=["roc_auc_low", "roc_auc_high", "recall"])
    (text,) = texts(of_classifiers(without, None))
    assert "the dense (0.490) classifier ranks" in text


def test_baselines_that_choose_at_random_may_fail():
    assert of_classifiers(quality(random=POSITIVE | CHANCE), baselines()) == []


def test_pruning_that_prunes_nothing_is_named():
    (text,) = texts(of_classifiers(quality(kept=0.999), None))
    assert text.startswith("Pruning keeps (nearly) all tokens")


def test_a_classifier_has_to_beat_the_more_frequent_label_on_the_test_split():
    (text,) = texts(of_classifiers(quality(dense={"f1": 0.65}), baselines()))
    assert text.startswith("The dense classifier's F1 of 0.650 is not above 0.667")
    assert of_classifiers(quality(dense={"f1": 0.668}), baselines()) == []


def models(*below):
    rows = [
        {"attention": f"entmax~{place}", "stage": stage, "loss": 7.3 - gain, "unigram_loss": 7.3}
        | {"nats_below_unigram": gain}
        for place, after in enumerate(below)
        for stage, gain in (("before", -3.0), ("after", after))
    ]
    return pd.DataFrame(rows)


def test_a_language_model_above_the_unigram_loss_is_named_in_every_section_that_builds_on_it():
    (caution,) = of_language_models(models(1.8, -0.5))
    assert caution.text.startswith("With entmax 1 attention the loss of 7.80 is not below the unigram loss of 7.30")
    assert caution.sections == ("models", "gold", "predictors", "sparse_mlm")
    assert of_language_models(models(0.1, 2.0)) == [] and len(of_language_models(models(0.0))) == 1


def fronts(reached):
    """Return the table at fixed sparsities when predictors have values at the levels in `reached`."""
    rows = [
        {"windows": windows, "keep": "none", "label": label, "bound": "upper" if label == "Oracle" else None}
        | {"at_sparsity": level, "recall": 0.5 if level in levels and windows == "0" else float("nan")}
        for windows in ("0", "11")
        for label, levels in reached.items()
        for level in (0.8, 0.9, 0.98)
    ]
    return pd.DataFrame(rows)


def test_curves_that_end_before_a_sparsity_are_named_by_the_first_one_that_they_miss():
    table = fronts({"A": (0.8, 0.9, 0.98), "B": (0.8, 0.9), "C": (0.9,), "D": (), "Oracle": ()})
    (caution,) = of_fronts(table, "0", "none")
    text = caution.text.replace("\N{NO-BREAK SPACE}", " ")
    assert "no value there. From 80 % on: D. From 98 % on: B; C. A predictor" in text
    assert caution.sections == ("predictors",)


def test_curves_that_reach_the_highest_sparsity_are_not_named_even_if_they_start_late():
    table = fronts({"A": (0.98,), "Oracle": (0.8,)})
    assert of_fronts(table, "0", "none") == [] and of_fronts(table, "51", "none") == []
    assert len(of_fronts(table, "11", "none")) == 1


@pytest.mark.parametrize("seeds, number", [((1,), 1), ((1, 2), 0)], ids=["one", "two"])
def test_one_seed_gives_no_interval(seeds, number):
    assert len(of_seeds(seeds)) == number


def test_all_rules_read_the_published_tables(tables):
    found = cautions(lambda name: read_table(path) if (path := tables / f"{name}.tsv").exists() else None,
                     [1], "0", "none")  # fmt: skip
    assert [caution.text.split()[0] for caution in found] == ["Some", "Only"]
    assert cautions(lambda name: None, [1, 2], "0", "none") == []
