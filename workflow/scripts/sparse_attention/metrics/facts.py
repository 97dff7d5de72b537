"""Facts about metrics, such as title, meaning and range, read from the metrics' files without running them."""

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
    """Facts about a metric that tables, figures and the report need.

    Attributes
    ----------
    name : str
        Name of the metric's column in tables.
    title : str
        Name of the metric for readers, such as "Mass recall".
    meaning : str
        One sentence: the definition, and the value where the denominator is 0.
    axis : str
        Text that a figure's axis shows beside the title, such as "share of gold pairs that are predicted".
    low, high : float, optional
        Lowest and highest possible value; None where there is no limit.
    unknown : bool
        Whether the value may be missing.
    compared : bool
        Whether figures and tables compare predictors by this metric against sparsity (fronts, areas, intervals).
    of_heads : bool
        Whether the table of single heads has a column for this metric.
    rises, falls : bool
        Whether the value never falls, or never rises, when a support grows.
    order : int
        Position among the columns; metrics of equal `order` are sorted by name.
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
        """The title as it is written within a sentence: `mass recall`, but `ROC AUC`."""
        return self.title if self.title[1:2].isupper() or self.title[1:2].isdigit() else self.title.lower()

    @property
    def range(self) -> str:
        """The range of values in words, such as `from 0 to 1`."""
        if self.low is None or self.high is None:
            ends = [f"at {kind} {end:g}" for kind, end in (("least", self.low), ("most", self.high)) if end is not None]
            return ends[0] if ends else "a number"
        return f"from {self.low:g} to {self.high:g}"


def metric_plugins(folder: Path = FOLDER) -> list[Plugin]:
    """Return the metrics of predicted supports in the order of columns, without importing any.

    A metric is a class with a literal `name` in a file of `evaluation/metrics`; its other literals are those of
    `MetricFacts`.

    Raises
    ------
    InputError
        When a file does not parse, `title` or `meaning` is missing, a value is not a literal, or two metrics share a
        name.
    """
    found = find_plugins(folder, LITERALS, NOT_METRICS).values()
    for plugin in found:
        for name in ("title", "meaning"):
            if not plugin.declared.get(name):
                place = f"{folder.name}/{plugin.module.rpartition('.')[2]}.py"
                raise InputError(f"{place}: {plugin.class_name}.{name} is missing; allowed: a non-empty text")
    return sorted(found, key=lambda plugin: (plugin.declared.get("order", MetricFacts.order), plugin.name))


@functools.cache
def support_metrics(folder: Path = FOLDER) -> dict[str, MetricFacts]:
    """Return the facts about each metric of predicted supports by name, in the order of columns."""
    return {plugin.name: MetricFacts(**plugin.declared) for plugin in metric_plugins(folder)}


def compared_metrics(folder: Path = FOLDER) -> dict[str, MetricFacts]:
    """Return the facts about the metrics of predicted supports by which predictors are compared."""
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
"""The metrics of code classifiers, in the order of columns."""
