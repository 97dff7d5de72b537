"""Write the texts that open the sections on code: what this run's functions and classifiers are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd

from sparse_attention.files.segments import pairs

MODES = {
    "threshold": "Learned thresholds: each layer learns a threshold of importance with soft weights, then drops the "
    "tokens below it.",
    "manual": "Linear thresholds: the classifier is trained with soft weights at thresholds that are set and not "
    "learned, then drops the tokens below them.",
    "topk": "Top-k: each layer keeps the most important tokens of a function, a share that falls from layer to layer.",
    "random": "Random: each layer keeps random tokens of a function, a share that falls from layer to layer.",
}
"""What pruning does in each mode."""


def of_code(config: Mapping[str, Any], table: Callable[[str], pd.DataFrame | None]) -> dict[str, Any]:
    """Return the texts by name: of `functions`, `classifiers` and `stages`.

    Parameters
    ----------
    config : mapping
        The configuration of the run.
    table : callable
        Returns a published table by its name, or None if the run has none.
    """
    quality = table("pruning")
    modes = modes_of([] if quality is None else quality["pruning"])
    return {
        "functions": functions(config),
        "classifiers": classifiers(config, modes, table("text_baselines") is not None),
        "stages": stages(config, modes),
    }


def functions(config: Mapping[str, Any]) -> str:
    """Return what the functions of code are: their labels, repeats, splits and negatives.

    Parameters
    ----------
    config : mapping
        The configuration of the run. Of a section that it lacks nothing is said.
    """
    options = config.get("prepare_code") or {}
    corpus = (config.get("code_corpora") or {}).get(config.get("code")) or {}
    has_projects = corpus.get("format") != "table" or "project_column" in corpus
    parts = ["Functions that are labelled as defective (1) or not (0)."]
    parts += [_repeats(options)] if options else []
    parts += [_splits(corpus, has_projects)] if corpus else []
    parts += [_negatives(options, has_projects)] if options else []
    return " ".join(parts)


def _repeats(options: Mapping[str, Any]) -> str:
    kind = "exact repeats" if options["near_duplicates"] is None else "exact and near repeats"
    if options["overlap"] == "keep":
        return (
            f"Of {kind} within a split one is kept. Splits were not compared, so test may hold functions that were "
            "trained on."
        )
    return f"Of {kind} one is kept, so no function is in two splits."


def _splits(corpus: Mapping[str, Any], has_projects: bool) -> str:
    if corpus.get("files"):
        drawn = "" if "validation" in corpus["files"] else ", with a validation split taken from train"
        return f"The splits are those of the data set{drawn}; it decides whether a project is in several of them."
    if not has_projects:
        return "The rows name no project, so functions were split one by one."
    # rows of a table, or what a reader of the user's own yields, may lack a project
    always = corpus.get("format") in ("bandit", "debian")
    return "No project is in two splits." if always else "Where projects are known, no project is in two splits."


def _negatives(options: Mapping[str, Any], has_projects: bool) -> str:
    style = " or from a project's style" if has_projects else ""
    if options["negatives"] is None:
        return f"Negatives were not chosen by length, so the label may be guessed from length{style}."
    same = " and from the same project" if has_projects else ""
    return (
        f"Where possible, negatives were chosen to be as long as the positives{same}, so that the label cannot be "
        f"guessed from length{style}."
    )


def modes_of(prunings: Iterable[str]) -> list[str]:
    """Return the modes of prunings, by their path segments, in the order of `MODES`."""
    found = {dict(pairs(name)).get("mode") for name in prunings}
    return [mode for mode in MODES if mode in found]


def classifiers(config: Mapping[str, Any], modes: Iterable[str], baselines: bool) -> str:
    """Return how the classifiers came about, and what the test split was used for.

    Parameters
    ----------
    config : mapping
        The configuration of the run.
    modes : iterable of str
        The modes of pruning, of `modes_of`.
    baselines : bool
        Whether the report also has baselines without a neural network.
    """
    supplied = bool((config.get("train_classifier") or {}).get("source"))
    origin = "was supplied by the user and not fine-tuned" if supplied else "was fine-tuned"
    parts = [f"A classifier of code {origin}, and then pruned.", *(MODES[mode] for mode in modes)]
    if (config.get("prune_hard") or {}).get("epochs"):
        parts.append("What is pruned hard is then trained further.")
    parts.append("Masked tokens cost as much as others; dropped tokens cost nothing from the next layer on.")
    parts.append(f"The test split is used for evaluation only, here{' and for the baselines above' * baselines}.")
    if supplied:
        parts.append("Whether the supplied classifier was trained on some of its functions is not known.")
    return " ".join(parts)


def stages(config: Mapping[str, Any], modes: Iterable[str]) -> list[tuple[str, str]]:
    """Return the stages of a classifier of this run as pairs of name and meaning.

    Parameters
    ----------
    config, modes
        As of `classifiers`.
    """
    modes = list(modes)
    supplied = bool((config.get("train_classifier") or {}).get("source"))
    found = [("Dense", "the supplied classifier" if supplied else "the fine-tuned classifier")]
    # a share of the tokens is kept without thresholds, so such prunings have no soft stage
    if {"threshold", "manual"} & set(modes):
        found.append(("soft", "one whose tokens fade with their importance"))
    return [*found, ("hard", "one that drops the pruned tokens")]
