"""How the paths of results are made up: what the rules share, with Snakemake's wildcards in braces."""

from __future__ import annotations

RUN = "{corpus}/{model}/{attention}/seed~{seed}"
"""A language model of one seed, and all that is made from it."""
POINT = f"{RUN}/{{projection}}/{{predictor}}/{{point}}"
"""One evaluation job of a predictor."""
PROJECTION = f"{RUN}/{{projection}}"
CLUSTERING = f"{PROJECTION}/{{clustering}}"
CLASSIFIER = "{code}/{classifier}"
CLASSIFIER_RUN = f"{CLASSIFIER}/seed~{{seed}}"
"""A classifier of one seed."""
PRUNING = f"{CLASSIFIER_RUN}/{{pruning}}"
"""A classifier of one seed, pruned in one way."""
PRUNED = f"results/pruning/{CLASSIFIER_RUN}"
"""The folder of all that is made from a classifier of one seed."""
NAMES = "corpus model code classifier dataset version predictor point"
WILDCARDS = {
    **dict.fromkeys(NAMES.split(), "[^/]+"),
    "attention": "softmax|entmax~[0-9.]+",
    "seed": "[0-9]+",
    "split": "train|validation",
    "projection": "kind~[^/]+",
    "clustering": "clusters~[^/]+",
    "pruning": "mode~[^/]+",
}
"""A regular expression for the values of every wildcard."""


def log_of(rule: str, place: str = "") -> str:
    """Return the path of a rule's log; `place` tells its jobs apart.

    Examples
    --------
    >>> log_of("gold_support", "{split}")
    'results/logs/gold_support/{split}.log'
    """
    return f"results/logs/{rule}{place and '/'}{place}.log"


def benchmark_of(rule: str, place: str = "") -> str:
    """Return the path of the table of a rule's time and memory; `place` tells its jobs apart.

    Examples
    --------
    >>> benchmark_of("report")
    'results/benchmarks/report.tsv'
    """
    return f"results/benchmarks/{rule}{place and '/'}{place}.tsv"
