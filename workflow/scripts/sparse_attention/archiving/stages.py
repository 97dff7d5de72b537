"""The stages of a run that a bundle can hold and from which a run can start."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from sparse_attention.archiving.bundle import ALLOWED, MANIFEST, Bundle
from sparse_attention.errors import damage_in
from sparse_attention.files.yaml_values import shown
from sparse_attention.jobs.manifest import portable

STAGES = ("models", "qk", "centroids", "predictors", "tables")
"""The stages in the order in which a run makes them."""
FIGURES = "figures"
"""What is drawn from tables."""
EXPORTS = "exports"
"""Pruned classifiers, language models under predicted attention, and the pruned data set."""
CARRIED = (FIGURES, EXPORTS)
"""The stages that a bundle can hold although no run starts from them."""
_MADE_BY = {
    "models": ("prepare", "tokenise", "train_mlm", "prepare_code", "tokenise_code", "train_classifier"),
    "qk": ("extract_qk", "import_qk", "gold_support"),
    "centroids": ("fit_projections", "import_projections", "fit_clusters", "import_clusters", "export_centroids"),
}
_DRAWN_BY = {"plot", "report", "write_latex"}
_EXPORTED_BY = {"prune_soft", "prune_hard", "retrain_pruned", "export_pruned", "finetune_sparse_mlm",
                "export_sparse_model"}  # fmt: skip
_WITH_WORKS = {"models", "qk", "centroids", EXPORTS}
_WITH_TEXT = re.compile(r"/tokens\.html$|/attention_maps\.|^results/maps/")
_READ_ONLY_AFTER = {
    "tables": (),
    "predictors": ("summarise_uncertainty",),
    "centroids": ("predictors", "evaluate", "evaluate_sparse_mlm", "finetune_sparse_mlm", "export_sparse_model",
                  "analyse_buckets", "map_attention", "time_attention", "deviations", "prunings", "prune_soft",
                  "prune_hard", "evaluate_pruning", "time_pruning", "show_pruning", "export_pruned"),
    "qk": ("projections", "fit_projections", "fit_clusters"),
    "models": ("extract_qk",),
}  # fmt: skip
"""The settings that only jobs after a stage read, besides those of the stages above it here."""
_WITHOUT_EFFECT = {"start_from", "figures", "threads", "device", "kernels", "container", "datasets"}
OPTIONAL = ("analyse_buckets", "map_attention", "time_attention")
"""Sections that make tables of their own and change no other; bundles of older versions may lack them."""
_CHOSEN = ("seeds", "attentions", "corpus", "model", "code", "classifier")
_NAMED = ("corpora", "models", "code_corpora", "predictors")
"""Sections of named things: one that a bundle's configuration lacks was not made, whatever the version."""
_ABSENT: Any = object()
_OF_CODE = {"code", "classifier", "code_corpora", "prepare_code", "tokenise_code", "train_classifier",
            "prunings", "prune_soft", "prune_hard", "evaluate_pruning", "time_pruning", "show_pruning",
            "export_pruned"}  # fmt: skip
"""The settings that only the classifiers of code read."""
_SELECTED_BY = {"corpora": ("corpus",), "models": ("model", "classifier"), "code_corpora": ("code",)}


def rules_until(stage: str) -> tuple[str, ...]:
    """Return the rules whose results a run takes from a bundle when it starts from `stage`.

    None for `predictors` and `tables`: of these a run takes only the files that its jobs read.
    """
    order = list(_MADE_BY)
    return sum((_MADE_BY[name] for name in order[: order.index(stage) + 1]), ()) if stage in order else ()


def held(stages: Collection[str]) -> list[str]:
    """Return the stages that a bundle holds: queries and keys come with models, centroids with both."""
    made = list(_MADE_BY)
    last = max((made.index(stage) for stage in stages if stage in made), default=-1)
    return [stage for stage in (*STAGES, *CARRIED) if stage in stages or stage in made[: last + 1]]


def stages_of(rule: str, path: str) -> set[str]:
    """Return the stages of a bundle that a result of a rule belongs to.

    Parameters
    ----------
    rule : str
        Name of the rule; one that took the result from a bundle counts as the one that would have made it.
    path : str
        The result's path.
    """
    if rule in _DRAWN_BY:
        return {FIGURES}
    if rule.startswith("summarise") or rule in ("manifest", "restore_tables"):
        return {"tables"}
    found = {stage for stage in _MADE_BY if rule.removeprefix("restore_") in rules_until(stage)}
    if path.endswith("/tokens.html") or rule == "evaluate_pruning":  # some figures are drawn from the tables of one job
        return {"predictors", "tables"}
    if rule in _EXPORTED_BY:
        found.add(EXPORTS)
    return found | ({"predictors"} if path.endswith((".tsv", "/kernel.json")) else set())


def is_mixed(stages: Iterable[str], paths: Iterable[str]) -> bool:
    """Return whether a bundle holds text, code or models of others, and not only what a run measured.

    Parameters
    ----------
    stages : iterable of str
        The stages that it holds.
    paths : iterable of str
        The paths of its files of results.
    """
    return not _WITH_WORKS.isdisjoint(stages) or any(_WITH_TEXT.search(path) for path in paths)


def settings_behind(config: Mapping[str, Any], stage: str) -> dict[str, Any]:
    """Return the settings on which the results of a stage and of those before it depend, without absolute paths.

    Parameters
    ----------
    config : mapping
        The whole configuration.
    stage : str
        One of `STAGES`.
    """
    order = list(_READ_ONLY_AFTER)
    later = set(sum((_READ_ONLY_AFTER[name] for name in order[: order.index(stage) + 1]), ()))
    kept = {name: value for name, value in config.items() if name not in later | _WITHOUT_EFFECT}
    for section in _SELECTED_BY.keys() & kept.keys():
        chosen = {config.get(key) for key in _SELECTED_BY[section]}
        kept[section] = {name: entry for name, entry in config[section].items() if name in chosen}
    found: dict[str, Any] = portable(kept)
    return found


def adds_code(bundle: Bundle, stage: str, config: Mapping[str, Any]) -> bool:
    """Return whether a run adds classifiers of code to the tables of a bundle that was made without any."""
    return stage == "tables" and config["code"] is not None and bundle.config.get("code", "unknown") is None


def _of_text(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that the classifiers of code do not read, with the language model alone among the models."""
    kept = {name: value for name, value in settings.items() if name not in _OF_CODE}
    models = {name: entry for name, entry in kept.get("models", {}).items() if name == settings.get("model")}
    return {**kept, "models": models} if "models" in kept else kept


def differences(
    bundle: Bundle, stage: str, settings: Mapping[str, Any], defaults: Mapping[str, Any]
) -> dict[tuple[str, ...], str]:
    """Return why a run with certain settings cannot start from a stage of a bundle, by the key of each difference.

    A bundle of an older version lacks the keys that came later. Each came with a default that does what was done
    before, so the default is allowed.

    Parameters
    ----------
    bundle : Bundle
    stage : str
        One of `STAGES`.
    settings : mapping
        What `settings_behind` gives for the run.
    defaults : mapping
        The workflow's default configuration.
    """
    if stage not in bundle.stages:
        allowed = ", ".join(name for name in bundle.stages if name in STAGES) or "another bundle"
        return {("start_from",): f"stage {shown(stage)} is not in {bundle.place}; allowed: {allowed}"}
    with bundle.damage():
        theirs = settings_behind(bundle.config, stage)
        if adds_code(bundle, stage, settings):
            settings, theirs = _of_text(settings), _of_text(theirs)
        found = [
            difference
            for key, value in settings.items()
            if not (_is_newer(key, bundle, stage) or _was_made(key, value, theirs.get(key), stage))
            for difference in _leaves((key,), value, theirs.get(key, _ABSENT))
        ]
        allowed_of = {key: _allowed(key, defaults) for key, _, _ in found}
    return {
        key: _text(bundle, key, ours, theirs, allowed_of[key])
        for key, ours, theirs in found
        if theirs is not _ABSENT or ours != allowed_of[key]
    }


def _leaves(key: tuple[str, ...], ours: Any, theirs: Any) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Yield the keys at and below `key` whose values differ, with both values; an absent one counts as null."""
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        for name in (*ours, *sorted(theirs.keys() - ours.keys())):
            yield from _leaves((*key, name), ours.get(name, _ABSENT), theirs.get(name, _ABSENT))
    elif ours != theirs and not all(value is None or value is _ABSENT for value in (ours, theirs)):
        yield key, ours, theirs


def _allowed(key: tuple[str, ...], defaults: Mapping[str, Any]) -> Any:
    """Return which value of a key is that of a bundle whose version does not know the key; `_ABSENT` if none is."""
    if key[0] in (*_CHOSEN, *_NAMED):
        return _ABSENT
    if key[0] in OPTIONAL and len(key) == 1:
        return None  # the bundle lacks the files that the section makes
    value: Any = defaults
    for part in key:
        value = value.get(part, _ABSENT) if isinstance(value, Mapping) else _ABSENT
    return value


def _text(bundle: Bundle, key: tuple[str, ...], ours: Any, theirs: Any, allowed: Any) -> str:
    """Return what is wrong with a value of ours."""
    if ours is _ABSENT:
        return f"is not set, but {bundle.place} was made with it; allowed: {shown(theirs)}"
    if theirs is not _ABSENT:
        return f"{shown(ours)} is not what {bundle.place} was made with; allowed: {shown(theirs)}"
    if key[0] in _NAMED:
        return f"{shown(ours)} is not in what {bundle.place} was made with; allowed: to leave it out"
    with damage_in(f"{bundle.place}: {MANIFEST}", ALLOWED):
        version = bundle.manifest.get("code", {}).get("version")
    made = f"version {version}, which does" if version else "a version that does"
    instead = f"{version or 'that version'} of the workflow, or a bundle of a newer version"
    value = "" if allowed is _ABSENT else f"{shown(allowed)}, "
    text = f"{shown(ours)} is not what {bundle.place} was made with, by {made} not know this key"
    return f"{text}; allowed: {value}{instead}"


def _is_newer(key: str, bundle: Bundle, stage: str) -> bool:
    # tables that an older bundle lacks are left out, and no other depends on a section that it does not know
    return stage == "tables" and key in OPTIONAL and key not in bundle.config


def _was_made(key: str, ours: Any, theirs: Any, stage: str) -> bool:
    # a run may take some of the archived models, but tables are made of all
    some = key in ("seeds", "attentions") and stage in _MADE_BY
    return some and isinstance(theirs, list) and set(ours) <= set(theirs)


def files_taken(
    stage: str, files: Mapping[str, Iterable[str]], pages: Iterable[str], published: Iterable[str]
) -> dict[str, list[str]]:
    """Return the files that a run takes from a bundle when it starts from `predictors` or `tables`, by a name.

    Parameters
    ----------
    stage : str
        One of `STAGES`; of the others whole rules are replaced.
    files : mapping of str to iterable of str
        The files that tables are made from, by kind.
    pages : iterable of str
        The pages that the report leads to.
    published : iterable of str
        The published tables and what describes them.
    """
    if stage == "tables":
        return {"tables": [*published, *pages]}
    if stage == "predictors":
        return {kind: list(paths) for kind, paths in (*files.items(), ("pages", pages))}
    return {}
