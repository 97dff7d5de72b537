"""Paths of results that rules share, with Snakemake's wildcards in braces."""

from __future__ import annotations

RUN = "{corpus}/{model}/{attention}/seed~{seed}"
"""The results of a language model with one seed."""
POINT = f"{RUN}/{{projection}}/{{predictor}}/{{point}}"
"""The results of one evaluation job of a predictor."""
SINGLE = f"{POINT}/{{setting}}"
"""The results of a single point of a predictor."""
FINETUNED = f"{POINT}/finetuned/{{setting}}"
"""The results of a language model that was trained further at a single point."""
PROJECTION = f"{RUN}/{{projection}}"
CLUSTERING = f"{PROJECTION}/{{clustering}}"
CLASSIFIER = "{code}/{classifier}"
CLASSIFIER_RUN = f"{CLASSIFIER}/seed~{{seed}}"
"""The results of a classifier with one seed."""
PRUNING = f"{CLASSIFIER_RUN}/{{pruning}}"
"""The results of one pruning of a classifier with one seed."""
PRUNED = f"results/pruning/{CLASSIFIER_RUN}"
"""The folder with the results of a classifier with one seed."""
NAMES = "corpus model code classifier dataset version predictor point setting"
WILDCARDS = {
    **dict.fromkeys(NAMES.split(), "[^/]+"),
    "attention": "softmax|entmax~[0-9.]+",
    "seed": "[0-9]+",
    "split": "train|validation",
    "projection": "kind~[^/]+",
    "clustering": "clusters~[^/]+",
    "pruning": "mode~[^/]+",
}
"""The regular expression for the values of each wildcard."""


def log_of(rule: str, place: str = "") -> str:
    """Return the path of a rule's log; `place` makes the paths of its jobs differ.

    Examples
    --------
    >>> log_of("gold_support", "{split}")
    'results/logs/gold_support/{split}.log'
    """
    return f"results/logs/{rule}{place and '/'}{place}.log"


def benchmark_of(rule: str, place: str = "") -> str:
    """Return the path of the table of a rule's time and memory; `place` makes the paths of its jobs differ.

    Examples
    --------
    >>> benchmark_of("report")
    'results/benchmarks/report.tsv'
    """
    return f"results/benchmarks/{rule}{place and '/'}{place}.tsv"
