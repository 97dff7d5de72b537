"""docs/figures.md names every figure and table of the workflow, no other, and each of the originals'."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sparse_attention.plotting.registry import discover as discover_figures
from sparse_attention.settings.config import schema
from sparse_attention.summaries.registry import discover as discover_tables

TEXT = (Path(__file__).parents[2] / "docs/figures.md").read_text(encoding="utf-8")
OURS = {*discover_figures(), *discover_tables()}
# names in the page that are settings or systems, not figures or tables
OTHERS = {"classifier", "prunings", "manual", "topk", "random", "text", "retrained", "dense", "evaluate_sparse_mlm"}
ORIGINALS = {
    "Sparsefinder": """
        sparsity against recall, a curve for each method
        the same for windows 0, 3, 11, 25
        sparsity against the share of queries that are exact
        perplexity against sparsity under predicted attention, with full entmax, softmax and the gold sparsity
        the same run's sparsity, precision, recall and exactness by layer and head
        gold sparsity, recall and predicted sparsity by layer and head
        loss, recall and sparsity while projections are fitted
        distances of pairs against buckets in common, for each head
        entropy of clusters for queries and keys, by number of clusters
        attention maps of a sentence, gold and predicted
        sparsity, recall and perplexity by size of blocks
        time and memory of attention by size of blocks
        machine translation: sparsity against recall
        machine translation: sparsity against BLEU
        hyperparameters
        statistics of sentences and of queries and keys
        perplexity with softmax and with entmax, gold sparsity
        GLUE and SQuAD under predicted attention, which the code offers""",
    "SparseCoder and LTP": """
        statistics of the data: functions, classes, lengths
        share of functions that are cut at 512 and at 1024 tokens
        quality of the dense, soft and hard classifier, over seeds
        baselines that choose tokens: top-k, linear thresholds
        other models: RoBERTa and CodeBERT at 512 tokens
        other models: CodeT5
        other models: Longformer at 1024 tokens, without pruning
        multiply-adds, absolute and relative; time; masked and dropped
        throughput on CPU and GPU
        sweep of the regulariser, the temperature and the first thresholds
        learned thresholds by layer beside those at the start
        operations and time against the number of tokens, for each model
        share of tokens that each layer keeps
        length that each layer keeps, for single inputs
        lengths at the start against lengths at some layers
        histograms of lengths at some layers, split by right and wrong predictions
        histogram of the lengths of the data
        quality against cost
        surviving tokens layer by layer
        quality when trained on the exported, pruned data
        check: hiding and removing tokens give the same logits
        check: what CLS reading pruned tokens changes""",
}
"""What the originals' papers and code show, by their part of the page."""


def names():
    rows = [line.split("|") for line in TEXT.splitlines() if line.startswith("|")]
    return {name for row in rows for cell in row for name in re.findall(r"`([a-z_0-9]+)`", cell)}


def test_every_figure_and_table_of_ours_is_named():
    assert sorted(OURS - names()) == []


def test_every_name_exists():
    assert sorted(names() - OURS - OTHERS) == []
    assert {"classifier", "prunings", "evaluate_sparse_mlm"} <= set(schema().content["properties"])


@pytest.mark.parametrize("part", ORIGINALS)
def test_each_item_of_the_originals_has_ours_or_a_reason(part):
    lines = TEXT.split(f"## {part}\n")[1].split("\n## ")[0].splitlines()
    rows = dict(re.fullmatch(r"\| (.*?) \| (.*) \|", line).groups() for line in lines if line.startswith("| "))
    assert rows.pop("Original") == "Ours"
    assert list(rows) == [line.strip() for line in ORIGINALS[part].strip().splitlines()]
    for item, ours in rows.items():
        known = set(re.findall(r"`([a-z_0-9]+)`", ours)) & OURS
        place = re.search(r"`(results/|make |config/)|provenance", ours)
        assert known or place or re.match(r"not (made|run by default)[:,] ", ours), item
