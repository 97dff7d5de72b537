"""Tables of the language models: quality, training curves, gold sparsity; and of the corpus and the projections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from os import PathLike
from typing import Any

import pandas as pd

from sparse_attention.files.tables import read_table
from sparse_attention.summaries.statistics import over_seeds, stack

Runs = Sequence[Mapping[str, Any]]
Paths = Sequence[str | PathLike[str]]

LOSSES = ("loss", "perplexity", "bits_per_character", "accuracy", "unigram_loss")
SIZES = ("masked_tokens", "blocks")
MEASURED = (*LOSSES, *SIZES)
QUALITY = (*LOSSES, "nats_below_unigram", "gold_sparsity")
TRAINING = ("loss", "learning_rate", "alpha")
QUANTILES = ("min", "q25", "median", "q75", "max")
CURVES = ("loss", "recall", "sparsity")


def read_runs(paths: Paths, runs: Runs, columns: Sequence[str]) -> pd.DataFrame:
    """Read the tables at `paths` into one, each row with what `runs` says of its file in front."""
    frames = []
    for path, run in zip(paths, runs, strict=True):
        frame = read_table(path, columns)
        for position, (name, value) in enumerate(run.items()):
            frame.insert(position, name, value)
        frames.append(frame)
    return stack(frames, columns)


def corpus_table(documents: str | PathLike[str] | None, blocks: str | PathLike[str] | None) -> pd.DataFrame:
    """Join the statistics of documents and of blocks on `split`; quantiles are named after what they count."""
    parts = []
    for path, unit in ((documents, "characters"), (blocks, "tokens")):
        if path:
            part = read_table(path, ["split", "documents", unit])
            parts.append(part.rename(columns={name: f"{unit}_{name}" for name in QUANTILES}))
    return reduce(lambda left, right: left.merge(right.drop(columns="documents"), on="split", how="left"), parts)


def masked_lm_table(evaluations: pd.DataFrame, sparsities: pd.DataFrame) -> pd.DataFrame:
    """Average the evaluations over seeds, one row per attention and stage.

    Parameters
    ----------
    evaluations : pandas.DataFrame
        Rows of `evaluation.tsv` with `attention` and `seed`.
    sparsities : pandas.DataFrame
        Rows of the models' `sparsity.tsv` with `attention` and `seed`: they belong to the stage `after`.
    """
    frame = evaluations.assign(nats_below_unigram=evaluations["unigram_loss"] - evaluations["loss"])
    gold = sparsities.groupby(["attention", "seed"], sort=False)["gold_sparsity"].mean().reset_index()
    frame = frame.merge(gold.assign(stage="after"), on=["attention", "seed", "stage"], how="left")
    return over_seeds(frame, ["attention", "stage"], QUALITY, constant=SIZES)


def training_table(training: pd.DataFrame) -> pd.DataFrame:
    """Average the training curves over seeds, one row per attention, phase and step."""
    table = over_seeds(training, ["attention", "phase", "step"], TRAINING)
    return table.drop(columns=["learning_rate_ci95", "alpha_ci95"])


def gold_sparsity_table(gold: pd.DataFrame) -> pd.DataFrame:
    """Average gold sparsity and support size over seeds, one row per attention, layer and head."""
    keys = ["attention", "layer", "head"]
    return over_seeds(gold, keys, ("gold_sparsity", "support_size"), constant=("examples",))


def projections_table(curves: pd.DataFrame) -> pd.DataFrame:
    """Average the projections' fitting curves over seeds, one row per attention, projection, layer, step and split."""
    return over_seeds(curves, ["attention", "projection", "layer", "step", "split"], CURVES)
