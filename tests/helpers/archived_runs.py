"""A made-up run to archive: its configuration, its data, and the rule that made each of its results."""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONFIG = {
    "seeds": [1, 2],
    "attentions": ["entmax~1.5"],
    "corpus": "wiki",
    "model": "small",
    "code": "code",
    "classifier": "small",
    "corpora": {"wiki": {"path": ".../wiki.txt"}, "other": {"path": ".../other.txt"}},
    "models": {"small": {"path": ".../small"}},
    "code_corpora": {"code": {"path": ".../code.csv"}},
    "blocks": {"length": 16},
    "train_mlm": {"steps": 3, "batch_size": 2},
    "train_classifier": {"epochs": 1},
    "extract_qk": {"examples": 4},
    "projections": [],
    "predictors": {"oracle": {"keys": [1]}},
    "figures": {"window": 0},
    "export_pruned": {"retrain": True},
    "start_from": None,
}
RECEIPT = {
    "dataset": "wiki",
    "version": "1",
    "kind": "text",
    "licence": "CC-BY-SA-3.0",
    "citation": "Someone",
    "files": [],
}
OUTPUTS = {
    "results/models/wiki/small/entmax~1.5/seed~1/model": "train_mlm",
    "results/models/wiki/small/entmax~1.5/seed~1/training.tsv": "train_mlm",
    "results/qk/wiki/small/entmax~1.5/seed~1/train": "extract_qk",
    "results/predictors/wiki/small/entmax~1.5/seed~1/oracle.tsv": "evaluate_predictor",
    "results/tables/predictors.tsv": "summarise_predictors",
    "results/tables/predictors.tex": "write_latex",
    "results/figures/pareto_recall.svg": "plot",
    "results/pruning/code/small/seed~1/hard/model": "prune_hard",
    "results/provenance/manifest.json": "manifest",
}


def make_results(folder: Path) -> None:
    """Write the results of the run into a folder."""
    for path in OUTPUTS:
        place = folder / path
        if path.endswith((".tsv", ".tex", ".svg", ".json")):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(f"{path}\n" * 50)
        else:
            (place / "inner").mkdir(parents=True)
            (place / "a.safetensors").write_bytes(bytes(range(256)))
            (place / "inner/b.json").write_text(path)
            (place / ".snakemake_timestamp").touch()
    manifest = {"config": CONFIG, "data": [RECEIPT], "code": {"commit": "0123456789abcdef", "dirty": False}}
    (folder / "results/provenance/manifest.json").write_text(json.dumps(manifest))
