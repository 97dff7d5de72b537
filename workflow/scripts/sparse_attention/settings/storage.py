"""Estimates the bytes that a run writes to `results/` from its plan and the sizes of its models."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from sparse_attention.settings import grids
from sparse_attention.settings.paths import PRUNED, RUN
from sparse_attention.settings.plan import Plan
from sparse_attention.settings.rates import rates
from sparse_attention.settings.sizes import Sizes
from sparse_attention.settings.sparse_points import EXPORTED, FINETUNED

BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
SPLITS = ("train", "validation")
Exists = Callable[[str], bool]


def storage(
    plan: Plan, model: Sizes | None, classifier: Sizes | None, exists: Exists = lambda _: False
) -> dict[str, int]:
    """Return the bytes of each stage, by its folder in `results/`; stages of a model that is None are left out.

    Each split counts with all the examples and functions that are asked for; a short corpus has fewer.

    Parameters
    ----------
    plan : Plan
        The run.
    model, classifier : Sizes or None
        Of the language model and of the model that the classifier is made from.
    exists : callable
        Whether a path exists already; what exists is not counted, nor is the rest of a stage that has begun, except
        where it has large files.
    """
    found: dict[str, int] = {}
    if model:
        found |= _of_text(plan, model, exists)
    if plan.code and classifier:
        found["pruning"] = _of_code(plan, classifier, exists)
    return found


def outstanding(folder: Path) -> Exists:
    """Return the function that tells `storage` whether a path exists in the folder of the workflow's results."""
    return lambda path: os.path.exists(folder / path)


def qk_bytes(plan: Plan, model: Sizes, split: str) -> int:
    """Return the bytes of the queries and keys of a split of one run of the language model."""
    config = plan.config["extract_qk"]
    tokens = config["examples"][split] * plan.config["blocks"]["length"]
    return 2 * BYTES[config["dtype"]] * model.layers * model.hidden * tokens


def gold_bytes(plan: Plan, model: Sizes, split: str) -> int:
    """Return the bytes of the gold support of a split: a bit for each pair, a float32 for each pair of the support."""
    examples, length = plan.config["extract_qk"]["examples"][split], plan.config["blocks"]["length"]
    rows = examples * model.layers * model.heads * length
    return rows * (-(-length // 8)) + round(4 * rows * length * (1 - rates().sparsity))


def _of_text(plan: Plan, model: Sizes, exists: Exists) -> dict[str, int]:
    places = [RUN.format(**plan.context, **run) for run in plan.runs]
    trained = [] if plan.from_dump else [RUN.format(**plan.context, **run) for run in plan.trained]
    weights, measured = 4 * model.parameters(), rates().bytes
    settings = len(plan.config["evaluate"]["windows"]) * len(plan.config["evaluate"]["keep"])
    rows = sum(job.points for job in plan.jobs) * settings * model.layers * model.heads
    singles = {section: sum(len(job.singles) for job in plan.sparse[section]) for section in (FINETUNED, EXPORTED)}
    each = {
        "sparse_mlm": weights * singles[FINETUNED],
        "sparse_models": weights * singles[EXPORTED],
        "projections": sum(_maps(setting, model) for setting in plan.projections.values()),
        "centroids": _centroids(plan, model),
        "predictors": round(rows * measured["row"]),
    }

    def splits(stage: str, size: Callable[[Plan, Sizes, str], int]) -> int:
        """Return the bytes of the stores of a stage that are not closed yet."""
        return sum(
            size(plan, model, split)
            for place in places
            for split in SPLITS
            if not exists(f"results/{stage}/{place}/{split}/{stage}.json")
        )

    # tables have means over seeds
    attentions = len({run["attention"] for run in plan.runs})
    published = round(attentions * rows * measured["published_row"] + measured["other"])
    return {
        "qk": splits("qk", qk_bytes),
        "gold": splits("gold", gold_bytes),
        "models": weights * sum(not exists(f"results/models/{place}/model") for place in trained),
        **{
            stage: number * sum(not exists(f"results/{stage}/{place}") for place in places)
            for stage, number in each.items()
        },
        "tables": 0 if exists("results/tables/predictors_by_head.tsv") else published,
    }


def _maps(setting: dict[str, object], model: Sizes) -> int:
    """Return the bytes of the maps of a projection, without biases."""
    if setting["kind"] == "none":
        return 0
    dim, hidden = int(str(setting["dim"])), int(str(setting.get("hidden") or 0))
    numbers = hidden * (model.head_dim + dim) if hidden else model.head_dim * dim
    return 4 * model.layers * model.heads * numbers * (1 if setting["shared"] else 2)


def _centroids(plan: Plan, model: Sizes) -> int:
    """Return the bytes of all centroids of one run: twice in float64 and once, in the original format, in float32."""
    clusters = sum(int(setting["clusters"]) for setting in plan.clusterings.values())
    dims = [int(setting.get("dim", model.head_dim)) for setting in plan.projections.values()]
    return (2 * 8 + 4) * model.layers * model.heads * clusters * sum(dims)


def _of_code(plan: Plan, classifier: Sizes, exists: Exists) -> int:
    config = plan.config
    weights = 4 * classifier.parameters(separate_global=True)
    places = [
        PRUNED.format(code=config["code"], classifier=config["classifier"], seed=seed) for seed in config["seeds"]
    ]
    stages = ["dense/model"]
    for name, pruning in plan.prunings.items():
        stages += [f"{name}/hard/model"]
        if grids.has_soft_stage(pruning):
            stages += [f"{name}/soft/model"]
    models = sum(not exists(f"{place}/{stage}") for place in places for stage in stages)
    functions = sum(number or 0 for number in config["prepare_code"]["max_functions"].values())
    tokens = functions * config["tokenise_code"]["max_tokens"]
    exports = [f"{place}/{name}/export/pruned.parquet" for place in places for name in plan.prunings]
    exported = sum(not exists(path) for path in exports) if config["export_pruned"] else 0
    return weights * models + round(exported * tokens * rates().bytes["exported_token"])
