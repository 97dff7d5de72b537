"""What metrics say of themselves is read from their files."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sparse_attention.errors import InputError
from sparse_attention.jobs.plugins import LIBRARY
from sparse_attention.metrics import facts
from sparse_attention.metrics.facts import CLASSIFICATION, MetricFacts, compared_metrics, support_metrics

CLASS = "class Mine(Metric):\n    name = 'mine'\n    title = 'Mine'\n    meaning = 'What is mine.'\n"


def test_columns_keep_their_order():
    assert list(support_metrics()) == [
        "sparsity", "gold_sparsity", "recall", "best_recall", "mass_recall", "precision", "exactness", "edges",
        "computation_sparsity",
    ]  # fmt: skip
    assert list(compared_metrics()) == ["recall", "mass_recall", "exactness"]
    assert [name for name, metric in support_metrics().items() if not metric.of_heads] == ["edges"]


def test_a_new_file_is_a_new_metric_and_comes_last_unless_it_says_otherwise(tmp_path):
    (tmp_path / "b.py").write_text(CLASS + "    low = None\n    compared = True\n")
    (tmp_path / "a.py").write_text(CLASS.replace("Mine", "A").replace("mine", "a"))
    (tmp_path / "z.py").write_text(CLASS.replace("Mine", "Z").replace("mine", "z") + "    order = 3\n")
    assert list(support_metrics(tmp_path)) == ["z", "a", "mine"]
    assert support_metrics(tmp_path)["mine"].low is None and list(compared_metrics(tmp_path)) == ["mine"]


@pytest.mark.parametrize("name", ["title", "meaning"])
def test_a_metric_without_words_is_refused(name, tmp_path):
    lines = [line for line in CLASS.splitlines() if name not in line]
    (tmp_path / "mine.py").write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match=rf"mine\.py: Mine\.{name} is missing; allowed: a non-empty text"):
        support_metrics(tmp_path)


@pytest.mark.parametrize("metric", [*support_metrics().values(), *CLASSIFICATION.values()], ids=lambda own: own.name)
def test_every_metric_is_told_in_a_sentence(metric):
    assert metric.meaning[0].isupper() and metric.meaning.endswith(".") and metric.title[0].isupper()
    assert bool(metric.axis) or not metric.compared


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ({}, "from 0 to 1"),
        ({"high": None}, "at least 0"),
        ({"low": None}, "at most 1"),
        ({"low": -1.0}, "from -1 to 1"),
        ({"low": None, "high": None}, "a number"),
    ],
    ids=["both", "low", "high", "negative", "none"],
)
def test_a_range_is_told_in_words(ends, words):
    assert MetricFacts("mine", "Mine", "What is mine.", **ends).range == words


@pytest.mark.parametrize(
    ("title", "words"), [("Mass recall", "mass recall"), ("ROC AUC", "ROC AUC"), ("F1", "F1"), ("MCC", "MCC")]
)
def test_a_title_within_a_sentence(title, words):
    assert MetricFacts("mine", title, "What is mine.").words == words


def test_they_are_read_without_torch_and_without_the_metrics():
    code = (
        "import sys; sys.modules['torch'] = None; from sparse_attention.metrics.facts import support_metrics; "
        "support_metrics(); assert not [name for name in sys.modules if 'evaluation' in name]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=LIBRARY.parent)
    assert facts.FOLDER.is_dir()
