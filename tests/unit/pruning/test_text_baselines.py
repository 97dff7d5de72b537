"""A bag of words finds the word that separates labels, learns from train only, and beats the more frequent label."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sparse_attention.data.code.functions import Function
from sparse_attention.pruning.text_baselines import text_baselines

WORDS = "open read close parse split join total index value item".split()


@pytest.fixture
def functions():
    rng = np.random.default_rng(0)
    found = []
    for number in range(1000):
        label = int(rng.random() < 0.3)
        words = [*rng.choice(WORDS, 5), "shell=True" if label else "shell=False"]
        split = "train" if number < 600 else "validation" if number < 800 else "test"
        found.append(Function(" ".join(rng.permutation(words)), label, split=split))
    return found


def test_the_bag_of_words_finds_the_word_of_label_1(functions):
    table = text_baselines(functions).set_index(["classifier", "split"])
    for split, count in (("validation", 200), ("test", 200)):
        assert table.loc[("tf-idf", split), "accuracy"] > 0.95
        assert table.loc[("tf-idf", split), "functions"] == count
        assert table.loc[("majority", split), ["roc_auc", "recall", "mcc"]].tolist() == [0.5, 0, 0]
    positive = sum(f.label for f in functions if f.split == "test")
    assert table.loc[("majority", "test"), "accuracy"] == pytest.approx(1 - positive / 200)
    assert table.loc[("tf-idf", "test"), "positive"] == positive


def test_the_test_split_does_not_change_the_classifiers(functions):
    """Other test functions do not change the results on validation, and the same functions give the same table."""
    before = text_baselines(functions)
    assert text_baselines(functions).equals(before)
    turned = [replace(f, label=1 - f.label, source=f.source + " new") if f.split == "test" else f for f in functions]
    after = text_baselines(turned)
    validation = before["split"] == "validation"
    assert after[validation].equals(before[validation])
    assert after.loc[3, "accuracy"] == pytest.approx(1 - before.loc[3, "accuracy"], abs=0.05)
