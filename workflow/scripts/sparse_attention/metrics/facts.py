"""What is known of every metric without running it: name, title, meaning, range; read from the metrics' own files."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from sparse_attention.errors import InputError
from sparse_attention.jobs.plugins import LIBRARY, Plugin, find_plugins

FOLDER = LIBRARY / "evaluation" / "metrics"
NOT_METRICS = ("base", "registry")
LITERALS = (
    "name", "title", "meaning", "axis", "low", "high", "unknown", "compared", "of_heads", "rises", "falls", "order",
)  # fmt: skip


@dataclass(frozen=True)
class MetricFacts:
    """What tables, figures and the report must know of a metric.

    Attributes
    ----------
    name, title : str
        Its column in tables; its name for readers, such as "Mass recall".
    meaning : str
        One sentence: what it is, and what it is where there is nothing to count.
    axis : str
        What an axis of a figure says beside the title, such as "share of gold pairs that are predicted".
    low, high : float, optional
        The range, ends included; None where there is no end.
    unknown : bool
        Whether it may be missing.
    compared : bool
        Whether predictors are compared by it against sparsity: fronts, areas, intervals.
    of_heads : bool
        Whether the table of single heads has it.
    rises, falls : bool
        Whether it cannot fall, or cannot rise, when a support grows.
    order : int
        Its place among the columns; of equal places the first by name.
    """

    name: str
    title: str
    meaning: str
    axis: str = ""
    low: float | None = 0.0
    high: float | None = 1.0
    unknown: bool = False
    compared: bool = False
    of_heads: bool = True
    rises: bool = False
    falls: bool = False
    order: int = 1000

    @property
    def words(self) -> str:
        """The title within a sentence: `mass recall`, but `ROC AUC`."""
        return self.title if self.title[1:2].isupper() or self.title[1:2].isdigit() else self.title.lower()

    @property
    def range(self) -> str:
        """The range in words."""
        if self.low is None or self.high is None:
            ends = [f"at {kind} {end:g}" for kind, end in (("least", self.low), ("most", self.high)) if end is not None]
            return ends[0] if ends else "a number"
        return f"from {self.low:g} to {self.high:g}"


def metric_plugins(folder: Path = FOLDER) -> list[Plugin]:
    """Return every metric of predicted supports in the order of columns, without importing one.

    A metric is a class with a literal `name` in a file of `evaluation/metrics`; see `MetricFacts` for the others.

    Raises
    ------
    InputError
        When a file does not parse, a literal is missing or is none, or two metrics share a name.
    """
    found = find_plugins(folder, LITERALS, NOT_METRICS).values()
    for plugin in found:
        for name in ("title", "meaning"):
            if not plugin.declared.get(name):
                place = f"{folder.name}/{plugin.module.rpartition('.')[2]}.py"
                raise InputError(f"{place}: {plugin.class_name}.{name} is missing; allowed: a text")
    return sorted(found, key=lambda plugin: (plugin.declared.get("order", MetricFacts.order), plugin.name))


@functools.cache
def support_metrics(folder: Path = FOLDER) -> dict[str, MetricFacts]:
    """Return the facts of the metrics of predicted supports by name, in the order of columns."""
    return {plugin.name: MetricFacts(**plugin.declared) for plugin in metric_plugins(folder)}


def compared_metrics(folder: Path = FOLDER) -> dict[str, MetricFacts]:
    """Return the facts of those by which predictors are compared."""
    return {name: metric for name, metric in support_metrics(folder).items() if metric.compared}


CLASSIFICATION = {
    metric.name: metric
    for metric in (
        MetricFacts("accuracy", "Accuracy", "The share of functions whose label is predicted."),
        MetricFacts(
            "f1",
            "F1",
            "The harmonic mean of precision and recall of label 1; 0 where both are 0.",
        ),
        MetricFacts(
            "precision",
            "Precision",
            "The share of functions predicted as 1 whose label is 1; 0 where none is predicted as 1.",
        ),
        MetricFacts(
            "recall", "Recall", "The share of functions of label 1 that are predicted as 1; 0 where there are none."
        ),
        MetricFacts(
            "false_alarm_rate",
            "False alarm rate",
            "The share of functions of label 0 that are predicted as 1; 0 where there are none.",
        ),
        MetricFacts(
            "roc_auc",
            "ROC AUC",
            "The probability that a function of label 1 gets a higher score than one of label 0, ties counting half; "
            "unknown where all labels are the same.",
            unknown=True,
        ),
        MetricFacts(
            "mcc",
            "MCC",
            "Matthews' correlation of labels and predictions; 0 where all labels, or all predictions, are the same.",
            low=-1.0,
        ),
    )
}
"""The metrics of classifiers of code, in the order of columns."""
