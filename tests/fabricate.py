"""Tables as the jobs of a run write them, made up: small, and plausible enough to draw."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

LEARNED = "kind~linear_dim~4_shared~true"
CONTEXT = {"corpus": "wiki-2016", "model": "minilm-l6"}
POINTS = {
    "cos": ("Cosine distance", "distance", LEARNED, {"threshold~0.1": (0.99, 0.24), "threshold~0.6": (0.891, 0.67)}),
    "kmeans": (
        "K-means clusters",
        "clusters",
        LEARNED,
        {
            "clusters~4_runs~1_top~1": (0.7, 0.41),
            "clusters~8_runs~1_top~1": (0.96, 0.26),
            "clusters~8_runs~1_top~2": (0.85, 0.55),
        },
    ),
    "window": ("Window", "window", "kind~none", {"width~11": (0.957, 0.26), "width~51": (0.811, 0.43)}),
    "oracle": ("Oracle top-k", "bounds", "kind~none", {"keys~2": (0.992, 0.48), "keys~32": (0.875, 0.99)}),
    "random": ("Random", "bounds", "kind~none", {"sparsity~0.8": (0.8, 0.2), "sparsity~0.98": (0.98, 0.02)}),
}
"""Predictor: its label, family, projection, and the sparsity and recall of its points."""


def job(**parts: dict[str, Any]) -> SimpleNamespace:
    """Return what a script gets from Snakemake."""
    empty: dict[str, Any] = {"input": {}, "output": {}, "params": {}, "wildcards": {}}
    return SimpleNamespace(log=[], **{name: SimpleNamespace(**value) for name, value in (empty | parts).items()})


def _write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(path, sep="\t", index=False)
    return str(path)


def evaluations(
    folder: Path,
    seeds: tuple[int, ...] = (1,),
    attentions: tuple[str, ...] = ("entmax~1.5",),
    windows: tuple[int, ...] = (0, 11),
    layers: int = 2,
    heads: int = 3,
) -> tuple[list[str], list[dict[str, Any]]]:
    """Write a table for each predictor, attention and seed; return the paths and what is known of each."""
    paths, runs = [], []
    for attention in attentions:
        for seed in seeds:
            for name, (label, family, projection, points) in POINTS.items():
                rng = np.random.default_rng([seed, len(name), len(attention)])
                rows = [
                    {
                        "layer": layer,
                        "head": head,
                        "point": point,
                        "window": window,
                        "keep": "none",
                        "examples": 32,
                        "sparsity": sparsity - 0.04 * bool(window) + rng.normal(0, 0.002),
                        "gold_sparsity": 0.97 + 0.01 * layer,
                        "recall": recall + 0.05 * bool(window) * (1 - recall) + rng.normal(0, 0.01),
                        "mass_recall": recall**0.7 + rng.normal(0, 0.01),
                        "precision": 0.1 + rng.normal(0, 0.01),
                        "exactness": recall**1.5 + rng.normal(0, 0.01),
                        "edges": 65536 * (1 - sparsity),
                    }
                    for point, (sparsity, recall) in points.items()
                    for window in windows
                    for layer in range(layers)
                    for head in range(heads)
                ]
                path = folder / "predictors" / attention / f"seed~{seed}" / projection / name / "all.tsv"
                paths.append(_write(path, rows))
                run = {
                    "predictor": name,
                    "projection": projection,
                    "point": "all",
                    "attention": attention,
                    "seed": seed,
                }
                runs.append(run | {"label": label, "family": family})
    return paths, runs


def models(
    folder: Path, seeds: tuple[int, ...] = (1,), attentions: tuple[str, ...] = ("entmax~1.5", "softmax")
) -> SimpleNamespace:
    """Write the tables of trained models and of their gold supports."""
    made = SimpleNamespace(evaluation=[], training=[], sparsity=[], runs=[], gold=[], gold_runs=[])
    for attention in attentions:
        for seed in seeds:
            rng, place = np.random.default_rng([seed, len(attention)]), folder / "models" / attention / f"seed~{seed}"
            end = 5.5 + rng.normal(0, 0.05)
            known = {
                "bits_per_character": 1.9,
                "accuracy": 0.18,
                "unigram_loss": 7.3,
                "masked_tokens": 2400,
                "blocks": 64,
            }
            losses = {"before": 11.0, "after": end}
            rows = [
                {"stage": stage, "loss": loss, "perplexity": np.exp(loss), **known} for stage, loss in losses.items()
            ]
            made.evaluation.append(_write(place / "evaluation.tsv", rows))
            steps = [("train", step) for step in range(1, 11)] + [("validation", step) for step in (0, 5, 10)]
            rows = [
                {"step": step, "phase": phase, "loss": 11 - step * (11 - end) / 10, "learning_rate": 5e-4, "alpha": 1.5}
                for phase, step in steps
            ]
            made.training.append(_write(place / "training.tsv", rows))
            sparse = attention != "softmax"
            rows = [
                {"layer": layer, "head": head, "gold_sparsity": (0.95 + 0.01 * layer + 0.001 * head) * sparse}
                for layer in range(2)
                for head in range(3)
            ]
            made.sparsity.append(_write(place / "sparsity.tsv", rows))
            made.runs.append({"attention": attention, "seed": seed})
            if sparse:
                rows = [row | {"support_size": 256 * (1 - row["gold_sparsity"]), "examples": 32} for row in rows]
                made.gold.append(_write(place / "gold.tsv", rows))
                made.gold_runs.append({"attention": attention, "seed": seed})
    return made


def curves(folder: Path, seeds: tuple[int, ...] = (1,)) -> tuple[list[str], list[dict[str, Any]]]:
    """Write the fitting curves of a projection for each seed."""
    paths, runs = [], []
    for seed in seeds:
        rows = [
            {
                "layer": layer,
                "step": step,
                "split": split,
                "loss": 1 - 0.02 * step + 0.01 * seed,
                "recall": 0.2 + 0.03 * step,
                "sparsity": 0.5 + 0.04 * step,
            }
            for layer in range(2)
            for step in range(0, 11, 5)
            for split in ("train", "validation")
        ]
        paths.append(_write(folder / "projections" / f"seed~{seed}.tsv", rows))
        runs.append({"projection": LEARNED, "attention": "entmax~1.5", "seed": seed})
    return paths, runs


def corpus(folder: Path) -> tuple[str, str]:
    """Write the statistics of a corpus: of its documents, and of its blocks."""
    quantiles = {"min": 500.0, "q25": 900.0, "median": 2000.0, "q75": 4000.0, "max": 9000.0}
    shares = {"train": 74, "validation": 16, "test": 16}
    documents = [{"split": split, "documents": n, "characters": 20000 * n, **quantiles} for split, n in shares.items()]
    blocks = [
        {"split": split, "documents": n, "tokens": 4500 * n, "blocks": 17 * n, "dropped_tokens": 9 * n, **quantiles}
        for split, n in shares.items()
    ]
    return _write(folder / "documents.tsv", documents), _write(folder / "blocks.tsv", blocks)


def receipt(folder: Path) -> str:
    """Write the receipt of a data set that lies in its user's home."""
    path = folder / "resources" / "wiki" / "2016" / "receipt.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    record = {"path": "wiki.xml.bz2", "sha256": "a53f" * 16, "size": 17}
    content = {"dataset": "wiki", "version": "2016", "kind": "text", "root": "/home/somebody/wiki", "files": [record]}
    content |= {
        "licence": "CC-BY-SA-3.0",
        "citation": "Wikipedia contributors <2016>",
        "source": {"type": "path", "path": "/home/somebody/wiki"},
    }
    path.write_text(json.dumps(content))
    return str(path)


def published(folder: Path, seeds: tuple[int, ...] = (1,), attentions: tuple[str, ...] = ("entmax~1.5",)) -> Path:
    """Run the summaries on made-up tables; return the folder of the published ones."""
    import summarise_corpus
    import summarise_gold
    import summarise_models
    import summarise_predictors
    import summarise_projections

    tables = folder / "tables"

    def out(*names: str, tex: str = "") -> dict[str, str]:
        return {name: str(tables / f"{name}.tsv") for name in names} | (
            {f"{tex}_tex": str(tables / f"{tex}.tex")} if tex else {}
        )

    documents, blocks = corpus(folder)
    summarise_corpus.main(job(input={"documents": documents, "blocks": blocks}, output=out("corpus")))
    made = models(folder, seeds, (*attentions, "softmax"))
    given = {name: getattr(made, name) for name in ("evaluation", "training", "sparsity")}
    output = out("masked_lm", "training", tex="masked_lm")
    summarise_models.main(job(input=given, output=output, params={"runs": made.runs}))
    output, params = out("gold_sparsity"), {"runs": made.gold_runs}
    summarise_gold.main(job(input={"gold": made.gold}, output=output, params=params))
    paths, runs = evaluations(folder, seeds, attentions)
    params = {"runs": runs, "sparsities": [0.8, 0.9, 0.95, 0.98], "window": 0, "keep": "none"}
    names = ("predictors", "predictors_by_head", "predictors_at_sparsity", "pareto")
    output = out(*names, tex="predictors_at_sparsity")
    summarise_predictors.main(job(input={"evaluations": paths}, output=output, params=params))
    paths, runs = curves(folder, seeds)
    summarise_projections.main(job(input={"curves": paths}, output=out("projections"), params={"runs": runs}))
    return tables
