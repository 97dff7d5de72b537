"""Sentences on the pruned classifiers agree with the tables."""

from __future__ import annotations

import pandas as pd
import pytest

from sparse_attention.files.tables import read_table, write_table
from sparse_attention.reporting import pruning

NAME, OTHER = "mode~threshold_final~0.005_lambda~0.1", "mode~topk_final~0.3"
F1 = {"dense": 0.8, "soft": 0.79, "hard": 0.7612, "manual": 0.71, "topk": 0.6, "random": 0.45, "text": 0.7,
      "retrained": 0.7456}  # fmt: skip
WAYS = {"dense": ("masked", "dropped"), "soft": ("masked",), "hard": ("masked", "dropped")}


def tables(*systems, name=NAME, low=-0.051, high=0.0349, dense=0.8):
    """Return quality and gains; what is masked has other numbers than what is dropped."""
    quality, gains = [], []
    for system in systems:
        for way in WAYS.get(system, ("dropped",)):
            off = 0.1 if way == "masked" else 0.0
            f1 = (dense if system == "dense" else F1[system]) - off
            one = {"pruning": name, "system": system, "way": way}
            sizes = {"functions": 120, "positive": 30, "roc_auc": 0.9 - off}
            cost = {"kept_share": 0.4567 + off, "relative_flops": (0.8 if system == "dense" else 0.304) + off}
            quality.append({**one, **sizes, **cost, "f1": f1})
            if system != "dense":
                for metric, gain in (("accuracy", 0.5), ("f1", f1 - dense + off / 2)):
                    gains.append({**one, "metric": metric, "gain": gain, "gain_low": low, "gain_high": high})
    return pd.DataFrame(quality), pd.DataFrame(gains)


def spaced(sentences):
    """Return the sentences with ordinary spaces in place of no-break spaces."""
    return [sentence.replace("\N{NO-BREAK SPACE}", " ") for sentence in sentences]


FIRST = (
    "Layers keep 46 % of the tokens on average and need 38 % of the dense model's multiply-adds; F1 goes from 0.800 "
    "to 0.761 (difference -3.9 points, 95 % interval -5.1 to +3.5)."
)


def test_kept_tokens_cost_and_f1_of_a_pruning_are_stated():
    assert spaced(pruning.pruned_classifiers(*tables(*F1))) == [
        FIRST,
        "F1 if the same number of tokens is chosen in other ways: linear thresholds 0.710, top-k 0.600, random 0.450, "
        "text pruned before 0.700.",
        "Retrained on the surviving text, the classifier reaches an F1 of 0.746.",
    ]


def test_systems_that_were_not_evaluated_are_not_mentioned():
    assert spaced(pruning.pruned_classifiers(*tables("dense", "soft", "hard"))) == [FIRST]
    assert spaced(pruning.pruned_classifiers(*tables("dense", "hard", "text")))[1:] == [
        "F1 if the same number of tokens is chosen in other ways: text pruned before 0.700."
    ]
    sentences = spaced(pruning.pruned_classifiers(*tables("dense", "hard", "retrained")))
    assert len(sentences) == 2 and sentences[1].startswith("Retrained")


def test_a_gain_without_an_interval_is_stated_without_one():
    (sentences,) = spaced(
        pruning.pruned_classifiers(*tables("dense", "hard", low=float("nan"), high=float("nan"), dense=0.75))
    )
    assert sentences.endswith("F1 goes from 0.750 to 0.761 (difference +1.1 points).")


@pytest.mark.parametrize("systems", [("dense", "soft"), ("soft", "hard"), ("soft", "text")], ids="-".join)
def test_without_hard_or_dense_there_are_no_sentences(systems):
    assert pruning.pruned_classifiers(*tables(*systems)) == []


def test_several_prunings_are_each_named():
    parts = [tables("dense", "hard", "random"), tables("dense", "hard", name=OTHER, low=0.01, high=0.02, dense=0.7)]
    sentences = spaced(pruning.pruned_classifiers(*(pd.concat(frames) for frames in zip(*parts, strict=True))))
    assert len(sentences) == 3
    assert sentences[0] == f"Threshold, final 0.005, lambda 0.1: l{FIRST[1:]}" and "random 0.450" in sentences[1]
    assert sentences[2].startswith("Topk, final 0.3: layers keep 46 % of the tokens")
    assert sentences[2].endswith("F1 goes from 0.700 to 0.761 (difference +6.1 points, 95 % interval +1.0 to +2.0).")


def test_a_pruning_without_hard_is_left_out():
    parts = [tables("dense", "soft"), tables("dense", "hard", name=OTHER)]
    sentences = spaced(pruning.pruned_classifiers(*(pd.concat(frames) for frames in zip(*parts, strict=True))))
    assert sentences == [f"Topk, final 0.3: l{FIRST[1:]}"]


def only_masked(*systems):
    """Return tables in which the hard pruning was never evaluated with tokens removed."""
    return [frame[(frame["system"] != "hard") | (frame["way"] == "masked")] for frame in tables(*systems)]


def test_a_pruning_that_only_masks_is_described_by_its_masked_rows():
    (sentence,) = spaced(pruning.pruned_classifiers(*only_masked("dense", "soft", "hard")))
    assert sentence == (
        "Layers keep 56 % of the tokens on average and need 45 % of the dense model's multiply-adds; F1 goes from "
        "0.700 to 0.661 (difference -8.9 points, 95 % interval -5.1 to +3.5)."
    )


def test_retraining_is_stated_for_a_pruning_that_only_masks():
    sentences = spaced(pruning.pruned_classifiers(*only_masked("dense", "hard", "retrained")))
    assert sentences[1:] == ["Retrained on the surviving text, the classifier reaches an F1 of 0.746."]


def baselines():
    rows = [("majority", "validation", 0.1, 0.2), ("majority", "test", 0, 0.5), ("tf-idf", "test", 0.6543, 0.876)]
    return pd.DataFrame(rows, columns=["classifier", "split", "f1", "roc_auc"])


def test_the_dense_classifier_is_compared_with_those_without_a_network(tmp_path):
    write_table(tables(*F1)[0], tmp_path / "pruning.tsv")
    assert pruning.text_against_model(read_table(tmp_path / "pruning.tsv"), baselines()) == [
        "The dense classifier reaches an F1 of 0.800 and a ROC AUC of 0.900 on 120 test functions, 30 of them "
        "positive; without a neural network: majority 0.000 and 0.500, tf-idf 0.654 and 0.876."
    ]
