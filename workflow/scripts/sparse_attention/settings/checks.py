"""Checks of a configuration that a schema cannot express: those of several keys, data sets or files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sparse_attention.data.code.languages import check_language
from sparse_attention.data.sources.path import locate
from sparse_attention.errors import InputError
from sparse_attention.files.yaml_values import shown
from sparse_attention.predictors.registry import discover
from sparse_attention.settings import drawn, starting
from sparse_attention.settings.checks_of_effect import effect_problems
from sparse_attention.settings.checks_of_models import model_problems
from sparse_attention.settings.checks_of_paths import path_problems
from sparse_attention.settings.grids import as_list, entmax_attentions, product
from sparse_attention.settings.schema import Problem, nearest
from sparse_attention.settings.sparse_points import EVALUATED, FINETUNED, SECTIONS

SELECTIONS = {
    "corpus": ("corpora", "text"),
    "model": ("models", "model"),
    "code": ("code_corpora", "code"),
    "classifier": ("models", "model"),
}
"""For each key that selects an entry: the section that it selects from, and the kind of data set or model there."""
KINDS = {"corpus": ("text", "code")}
"""The kinds of data sets that an entry may have, where there are several: code is text too."""


def cross_checks(config: dict[str, Any], registry: dict[str, Any], folder: Path) -> Iterator[Iterator[Problem]]:
    """Yield all checks as iterators over their problems; the parameters are those of `config.validate`."""
    yield _selection_problems(config, registry)
    yield drawn.problems(config)
    yield _range_problems(config)
    yield _sparse_problems(config)
    yield _code_problems(config)
    yield starting.problems(config, registry, folder)
    yield _problems_of_selected(config, registry, folder)
    yield model_problems(config, registry, folder)
    yield _language_problems(config, folder)


def _problems_of_selected(config: dict[str, Any], registry: dict[str, Any], folder: Path) -> Iterator[Problem]:
    selecting = {name: SELECTIONS[name][0] for name in _selecting(config)}
    yield from path_problems(config, registry, selecting, folder)
    yield from effect_problems(config, selecting)


def _name_taken(selection: str, name: str, section: str, stage: str) -> Problem:
    text = f"{shown(name)} is a name in {section}; allowed with {stage}.source: a name that is not in {section}"
    return Problem((selection,), text, ((stage, "source"),))


def _dump_problems(config: dict[str, Any]) -> Iterator[Problem]:
    source = config["extract_qk"]["source"]
    if config["corpus"] in config["corpora"]:
        yield _name_taken("corpus", config["corpus"], "corpora", "extract_qk")
    if len(entmax_attentions(config)) > 1:
        text = "more than one entmax~A is not allowed with extract_qk.source; allowed: the one attention of the dump"
        yield Problem(("attentions",), text, (("extract_qk", "source"),))
    if isinstance(source, dict) and len({os.path.realpath(locate(path)) for path in source.values()}) < 2:
        text = f"{source['train']} is both train and validation; allowed: two files without common documents"
        yield Problem(("extract_qk", "source"), text)


def _selecting(config: dict[str, Any]) -> list[str]:
    """Return the keys whose selection is retrieved, which a dump or a trained model of the user's own may replace."""
    replaced = {
        "corpus": config["extract_qk"]["source"],
        "model": config["extract_qk"]["source"] or config["train_mlm"]["source"],
        "classifier": config["code"] is None or config["train_classifier"]["source"],
    }
    return [name for name in SELECTIONS if not replaced.get(name) and config[name] is not None]


def _selection_problems(config: dict[str, Any], registry: dict[str, Any]) -> Iterator[Problem]:
    for selection in _selecting(config):
        section, kind = SELECTIONS[selection]
        name, entries = config[selection], {key: value for key, value in config[section].items() if value}
        if name not in entries:
            yield Problem((selection,), f"{shown(name)} is not in {section}; {nearest(name, entries)}")
            continue
        entry = entries[name]
        if ("dataset" in entry) == ("path" in entry):
            yield Problem((section, name), "needs either dataset or path, and not both")
        elif "dataset" in entry:
            dataset = entry["dataset"]
            if dataset not in registry:
                yield Problem(
                    (section, name, "dataset"), f"{shown(dataset)} is not in datasets; {nearest(dataset, registry)}"
                )
            elif registry[dataset]["kind"] not in KINDS.get(selection, (kind,)):
                allowed = " or ".join(KINDS.get(selection, (kind,)))
                text = f"{shown(dataset)} is of kind {registry[dataset]['kind']}; allowed: kind {allowed}"
                yield Problem((section, name, "dataset"), text)
    if not entmax_attentions(config):
        yield Problem(("attentions",), "softmax alone has no support to predict; allowed: at least one entmax~A")
    if config["extract_qk"]["source"]:
        yield from _dump_problems(config)
    elif config["train_mlm"]["source"] and config["model"] in config["models"]:
        yield _name_taken("model", config["model"], "models", "train_mlm")


def _above(section: str, smaller: str, larger: str, config: dict[str, Any]) -> Problem:
    text = f"{config[section][smaller]} is above {section}.{larger}, {config[section][larger]}"
    return Problem((section, smaller), text, ((section, larger),))


def _share_problems(section: str, config: dict[str, Any]) -> Iterator[Problem]:
    split = config[section]["split"]
    total = split["train"] + split["validation"] + split["test"]
    if abs(total - 1) > 1e-9:
        yield Problem((section, "split"), f"train, validation and test sum to {round(total, 9)}; allowed: 1")


def _range_problems(config: dict[str, Any]) -> Iterator[Problem]:
    yield from _share_problems("prepare", config)
    if config["blocks"]["min_length"] > config["blocks"]["length"]:
        yield _above("blocks", "min_length", "length", config)
    yield from _window_problems(("evaluate", "windows"), config["evaluate"]["windows"])
    anneal = config["train_mlm"]["anneal"]
    if (anneal["start"] is None) != (anneal["steps"] == 0):
        yield Problem(
            ("train_mlm", "anneal"), "start and steps belong together; allowed: both, or start null and steps 0"
        )
    for name, grid in config["predictors"].items():
        if grid:
            yield from _grid_problems(("predictors", name), name, grid)
    for position, entry in enumerate(config["projections"]):
        yield from _projection_problems(("projections", position), entry)


def _code_problems(config: dict[str, Any]) -> Iterator[Problem]:
    """Check the sections of the pipeline for code."""
    yield from _share_problems("prepare_code", config)
    most = config["prepare_code"]["max_lines"]
    if most is not None and config["prepare_code"]["min_lines"] > most:
        yield _above("prepare_code", "min_lines", "max_lines", config)
    entry = config["code_corpora"].get(config["code"]) or {}
    both = set(entry.get("projects", {}).get("validation", ())) & set(entry.get("projects", {}).get("test", ()))
    if both:
        key = ("code_corpora", config["code"], "projects")
        yield Problem(key, f"{', '.join(sorted(both))} is in validation and in test; allowed: in one of them")
    if config["train_classifier"]["source"] and config["classifier"] in config["models"]:
        yield _name_taken("classifier", config["classifier"], "models", "train_classifier")
    if config["train_classifier"]["source"] and (config["export_pruned"] or {}).get("retrain"):
        text = "true is not allowed with a trained classifier, which cannot be trained anew; allowed: false"
        yield Problem(("export_pruned", "retrain"), text, (("train_classifier", "source"),))
    for position, pruning in enumerate(config["prunings"]):
        published = pruning.get("variant") == "as_published"
        settings = product({"score": "mean", **pruning})
        if published and any((one["mode"], one["score"]) != ("manual", "relative") for one in settings):
            text = "as_published is not allowed here; allowed: only with mode manual and score relative"
            yield Problem(("prunings", position, "variant"), text)


def _language_problems(config: dict[str, Any], folder: Path) -> Iterator[Problem]:
    """Check the language of the functions that are shown, where the run shows any."""
    if config["code"] is not None and (config["start_from"] is None or starting.adds_code(config, folder)):
        try:
            check_language(config["show_pruning"]["language"])
        except InputError as error:
            key, _, text = str(error).partition(": ")
            yield Problem(tuple(key.split(".")), text)


def _projection_problems(key: tuple[Any, ...], entry: dict[str, Any]) -> Iterator[Problem]:
    """Check that an entry has the keys that its kind needs, and no others."""
    kind, concat = entry["kind"], entry.get("concat", False)
    needed = {"linear": {"dim"}, "mlp": {"dim", "hidden"}, "none": set()}[kind]
    if set(entry) - {"kind", "shared", "block_size", "concat"} != needed:
        wanted = ", ".join(sorted(needed)) or "nothing"
        yield Problem(key, f"kind {kind} takes {wanted} in addition to kind, shared, block_size and concat")
    if concat and kind == "none":
        yield Problem((*key, "concat"), "true is not allowed with kind none; allowed: false, as there is no map")
    if concat and False in as_list(entry.get("shared", True)):
        text = "false is not allowed with concat: true; allowed: true, as one map takes queries and keys"
        yield Problem((*key, "shared"), text)


def _window_problems(key: tuple[Any, ...], windows: Any) -> Iterator[Problem]:
    for position, window in enumerate(as_list(windows)):
        if window and window % 2 == 0:
            place = (*key, position) if isinstance(windows, list) else key
            yield Problem(place, f"{window} is even; allowed: 0 or odd numbers, they are centred")


def _sparse_problems(config: dict[str, Any]) -> Iterator[Problem]:
    """Check the points at which the language model runs under predicted attention."""
    for section in SECTIONS:
        for name, grids in ((config[section] or {}).get("points") or {}).items():
            for position, grid in enumerate(grids or ()):
                key = (section, "points", name, position)
                yield from _grid_problems(key, name, grid)
                yield from _window_problems((*key, "window"), grid.get("window", 0))
    if config[FINETUNED] and not config[EVALUATED]:
        text = "is set; allowed: null, because evaluate_sparse_mlm, which says how models are evaluated, is null"
        yield Problem((FINETUNED,), text, ((EVALUATED,),))


def _grid_problems(key: tuple[Any, ...], name: str, grid: dict[str, Any]) -> Iterator[Problem]:
    """Check the settings of a predictor at `key` that limit each other."""
    info = discover()[name]
    for smaller, larger in info.at_most.items():
        if max(as_list(grid[smaller])) > min(as_list(grid[larger])):
            text = f"{max(as_list(grid[smaller]))} is above {larger} {min(as_list(grid[larger]))}"
            text = f"{text}; allowed: at most the smallest {larger}"
            yield Problem((*key, smaller), text, ((*key, larger),))
    for divisor, multiple in info.divides.items():
        wrong = [(d, m) for d in as_list(grid[divisor]) for m in as_list(grid[multiple]) if m % d]
        if wrong:
            text = f"{wrong[0][0]} does not divide {multiple} {wrong[0][1]}"
            text = f"{text}; allowed: divisors of every {multiple}"
            yield Problem((*key, divisor), text, ((*key, multiple),))
