"""Estimates the CPU seconds of a run's jobs from its plan, the sizes of its models, and measured rates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sparse_attention.predictors.registry import discover
from sparse_attention.settings import grids
from sparse_attention.settings.plan import Plan
from sparse_attention.settings.rates import rates
from sparse_attention.settings.sizes import Sizes
from sparse_attention.settings.sparse_points import EVALUATED, EXPORTED, FINETUNED, options_of_training

TERA, GIGA, MEGA = 1e12, 1e9, 1e6
BACKWARD = 3
"""How many times as much work a training step is as a forward pass."""


def durations(plan: Plan, model: Sizes | None, classifier: Sizes | None) -> dict[str, float]:
    """Return the CPU seconds of the jobs of each rule, on CPUs like those that the rates were measured on.

    The rules of a model that is None are left out, and so are retrieval and the preparation of the corpus, whose size
    is not known. What exists already counts.

    Parameters
    ----------
    plan : Plan
        The run.
    model, classifier : Sizes or None
        Of the language model and of the classifier.
    """
    found: dict[str, float] = {}
    if model:
        found |= _of_predictors(plan, model)
        if not plan.from_dump:
            found |= _of_language_models(plan, model)
    if plan.code and classifier:
        found |= _of_classifiers(plan, classifier)
    return found


def _jobs(number: int, seconds: float) -> float:
    """Return the CPU seconds of jobs that compute for `seconds` in all."""
    return number * rates().seconds["start"] + seconds


def _of_language_models(plan: Plan, model: Sizes) -> dict[str, float]:
    config, rate, length = plan.config, rates().seconds, plan.config["blocks"]["length"]
    masked = config["train_mlm"]["mask_probability"]

    def training(options: Mapping[str, Any]) -> float:
        """Return the operations of training and validation, as forward passes in training."""
        steps = options["steps"] * options["accumulation"] * options["batch_size"]
        validations = options["steps"] // options["eval_steps"] + 2
        blocks = steps + validations * (options["eval_blocks"] or 0) / BACKWARD
        return model.operations(1, length, masked) * length * blocks / TERA

    runs, trained = len(plan.runs), len(plan.trained)
    examples = sum(config["extract_qk"]["examples"].values())
    forward = model.operations(examples * length, length) / TERA
    found = {"extract_qk": _jobs(runs, runs * forward * rate["extract_qk"])}
    if not config["train_mlm"]["source"]:
        found["train_mlm"] = _jobs(trained, trained * training(config["train_mlm"]) * rate["train_mlm"])
    if plan.sparse[EVALUATED]:
        points = runs * sum(len(job.points) for job in plan.sparse[EVALUATED])
        blocks = config[EVALUATED]["blocks"] or 0
        pairs = _pairs(model, length, blocks)
        number = runs * len(plan.sparse[EVALUATED])
        found["evaluate_sparse_mlm"] = _jobs(number, points * pairs * rate["sparse_mlm"])
        forward = model.operations(blocks * length, length, masked) / TERA
        found["evaluate_full_mlm"] = _jobs(trained, trained * forward * rate["train_mlm"] / BACKWARD)
    if plan.sparse[FINETUNED]:
        points = runs * sum(len(job.singles) for job in plan.sparse[FINETUNED])
        amount = training(options_of_training(config))
        found["finetune_sparse_mlm"] = _jobs(points, points * amount * rate["sparse_training"])
        found["finetune_full_mlm"] = _jobs(runs, runs * amount * rate["train_mlm"])
    found["export_sparse_model"] = _jobs(runs * sum(len(job.singles) for job in plan.sparse[EXPORTED]), 0.0)
    return found


def _pairs(model: Sizes, length: int, examples: int) -> float:
    """Return the pairs of query and key of all layers and heads, in 10^9."""
    return examples * model.layers * model.heads * length**2 / GIGA


def _of_predictors(plan: Plan, model: Sizes) -> dict[str, float]:
    config, rate, runs = plan.config, rates().seconds, len(plan.runs)
    length, examples = config["blocks"]["length"], config["extract_qk"]["examples"]
    train, validation = (_pairs(model, length, examples[split]) for split in ("train", "validation"))
    steps = sum(job.fixed.get("steps", 0) for job in plan.jobs if discover()[job.predictor].fits)
    fitting = steps * _pairs(model, length, 1) * rate["fit_predictor"]
    evaluating = sum(job.points for job in plan.jobs) * validation * rate["evaluate_predictor"]
    analysed = sum(job.points for job in plan.quantizing)
    analysing = analysed * _pairs(model, length, config["analyse_buckets"]["examples"]) * rate["analyse_buckets"]
    vectors = 2 * examples["train"] * length * model.layers * model.heads / MEGA
    clusters = sum(setting["clusters"] * setting["runs"] for setting in plan.clusterings.values())
    clustering = clusters * len(plan.projections) * vectors * config["fit_clusters"]["initialisations"]
    clusterings, fitted = len(plan.clusterings) * len(plan.projections), len(plan.fitted)
    found = {
        "gold_support": _jobs(2 * runs, runs * (train + validation) * rate["gold_support"]),
        "fit_projections": _jobs(runs * fitted, runs * fitted * _epochs(config) * train * rate["fit_projections"]),
        "fit_clusters": _jobs(runs * clusterings, runs * clustering * rate["fit_clusters"]),
        "export_centroids": _jobs(runs * clusterings, 0.0),
        "evaluate_predictor": _jobs(runs * len(plan.jobs), runs * (evaluating + fitting)),
        "analyse_buckets": _jobs(runs * len(plan.quantizing), runs * analysing),
    }
    if plan.mapped:
        jobs = len(plan.first_runs) * len(plan.mapped)
        # one example in three layers
        pairs = _pairs(replace(model, layers=min(3, model.layers)), length, 1)
        learning = sum(job.fixed.get("steps", 0) for job in plan.mapped if discover()[job.predictor].fits)
        each = sum(job.points for job in plan.mapped) * rate["evaluate_predictor"] + learning * rate["fit_predictor"]
        found["map_attention"] = _jobs(jobs, len(plan.first_runs) * pairs * each)
    if config["deviations"]:
        layers = replace(model, layers=config["deviations"]["layers"])
        pairs = _pairs(layers, length, sum(config["deviations"]["examples"].values()))
        found["measure_deviations"] = _jobs(runs, runs * pairs * rate["measure_deviations"])
    return found


def _epochs(config: Mapping[str, Any]) -> float:
    """Return the number of passes over the train split in which a projection is fitted."""
    options = config["fit_projections"]
    most = (options["max_steps"] or math.inf) * options["batch_size"] * options["accumulation"]
    return min(options["epochs"], most / config["extract_qk"]["examples"]["train"])


def _of_classifiers(plan: Plan, classifier: Sizes) -> dict[str, float]:
    config, rate, seeds, prunings = plan.config, rates().seconds, len(plan.config["seeds"]), len(plan.prunings)
    functions = {split: number or 0 for split, number in config["prepare_code"]["max_functions"].items()}
    tokens = config["tokenise_code"]["max_tokens"]
    longformer = grids.longformer_of(config)
    # of tokens that attend within a window, or to all where the window is not known
    keys = min(longformer["window"] if longformer else 512, tokens)
    one = classifier.operations(tokens, keys) / TERA

    def training(options: Mapping[str, Any]) -> float:
        a_step = options["batch_size"] * options["accumulation"]
        steps = options["epochs"] * math.ceil(functions["train"] / a_step)
        validations = steps // options["eval_steps"] if options["eval_steps"] else options["epochs"]
        amount = options["epochs"] * functions["train"] + validations * functions["validation"] / BACKWARD
        return amount * one * rate["train_classifier"]

    soft = sum(grids.has_soft_stage(pruning) for pruning in plan.prunings.values())
    number = {"train_classifier": seeds, "prune_soft": seeds * soft, "prune_hard": seeds * prunings}
    found = {
        rule: _jobs(jobs, jobs * training(config[rule]))
        for rule, jobs in number.items()
        if not config[rule].get("source")
    }
    if plan.retrained:
        number["retrain_pruned"] = jobs = seeds * prunings
        found["retrain_pruned"] = _jobs(jobs, jobs * training(config["train_classifier"]))
    test = functions["test"] * one * rate["infer_classifier"]
    pruned, everything = seeds * prunings, sum(functions.values()) * one * rate["export_classifier"]
    # a pruned model is evaluated with its tokens hidden and removed, and beside baselines
    passes = 2 if config["evaluate_pruning"]["baselines"] else 1
    return found | {
        "evaluate_dense": _jobs(seeds, seeds * test),
        "evaluate_pruning": _jobs(pruned, pruned * passes * test),
        "export_pruned": _jobs(pruned, pruned * everything) if config["export_pruned"] else 0.0,
        "time_pruning": _jobs(pruned, pruned * rate["time_pruning"]),
        "show_pruning": _jobs(pruned, 0.0),
        "prepare_code": rate["prepare_code"],
    }
