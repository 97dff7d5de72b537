"""What the first page and the sections say of a run: facts, sentences, and the sentences that come first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from sparse_attention.reporting import findings, insights, pruning, runtime, sparse_mlm, timings
from sparse_attention.reporting.inputs import Inputs, Setting
from sparse_attention.summaries.wording import spell

HEADLINES = {
    "gold": ("Gold attention", slice(1)),
    "predictors": ("Predictors", slice(2)),
    "computation": ("Computation", slice(1)),
    "timings": ("Real time", slice(1, 2)),
    "models": ("Language model", slice(1)),
    "sparse_mlm": ("Predicted attention", slice(1, 2)),
    "deviations": ("Published code", slice(1)),
    "classifier": ("Classifier of code", slice(1)),
    "pruning": ("Pruning", slice(1)),
}
"""What the first page calls each kind of sentences, and which of them it shows."""


class Headline(NamedTuple):
    """Sentences of the first page, what they are about, and the section that says more."""

    topic: str
    text: str
    section: str


def headlines(sentences: Mapping[str, Sequence[str]]) -> list[Headline]:
    """Return the main sentences of a run, about ten lines.

    Parameters
    ----------
    sentences : mapping
        The sentences of each section, of `section_findings`.
    """
    return [
        Headline(topic, " ".join(chosen), "pruning" if kind == "classifier" else kind)
        for kind, (topic, which) in HEADLINES.items()
        if (chosen := sentences[kind][which])
    ]


def section_findings(inputs: Inputs, config: Mapping[str, Any], setting: Setting) -> dict[str, list[str]]:
    """Return the sentences of each section; the list is empty if a table is missing."""
    table, windows, keep = inputs.table, str(setting.window), setting.keep
    trained = not (config.get("train_mlm") or {}).get("source")

    def sentences_of(name: str, sentences: Callable[[pd.DataFrame], list[str]]) -> list[str]:
        frame = table(name)
        return [] if frame is None else sentences(frame)

    fixed = "predictors_at_sparsity"
    return {
        "models": sentences_of("masked_lm", lambda rows: findings.language_models(rows, trained)),
        "gold": sentences_of("gold_sparsity", findings.gold_attention),
        "predictors": sentences_of(fixed, lambda rows: findings.predictors(rows, windows, keep)),
        "areas": sentences_of("areas", lambda rows: insights.areas(rows, windows, keep)),
        "windows": sentences_of(fixed, lambda rows: findings.with_more_kept(rows, windows, keep)),
        "computation": sentences_of("predictors", lambda rows: insights.computation(rows, setting.window, keep)),
        "timings": sentences_of("attention_timings", timings.attention),
        "sparse_mlm": sentences_of("sparse_mlm", sparse_mlm.language_model),
        "sparse_mlm_details": sentences_of("sparse_mlm", sparse_mlm.details),
        "heads": sentences_of("best_by_head", insights.heads),
        "distances": sentences_of("offsets", insights.distances),
        "buckets": insights.buckets(table("buckets"), table("common_buckets"), setting.sparsity),
        "deviations": sentences_of("deviations", insights.deviations),
        "runtime": sentences_of("runtime", runtime.rules),
        **code_findings(inputs),
    }


def code_findings(inputs: Inputs) -> dict[str, list[str]]:
    """Return the sentences on the classifiers of code; the lists are empty if a table is missing."""
    quality, gains, baselines = (inputs.table(name) for name in ("pruning", "pruning_gains", "text_baselines"))
    if quality is None or gains is None:
        return {"classifier": [], "pruning": []}
    compared = [] if baselines is None else pruning.text_against_model(quality, baselines)
    return {"classifier": compared, "pruning": pruning.pruned_classifiers(quality, gains)}


def run_facts(inputs: Inputs, manifest: Mapping[str, Any], context: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return facts on the run, such as its corpus and seeds, as pairs of name and value; unknown ones are left out."""
    facts = [(name, str(context[name])) for name in ("corpus", "model") if context.get(name)]
    points, gold, corpus = (inputs.table(name) for name in ("predictors", "gold_sparsity", "corpus"))
    if gold is not None:
        facts.append(("attention", ", ".join(spell(name) for name in gold["attention"].unique())))
        facts.append(("layers × heads", f"{gold['layer'].nunique()} × {gold['head'].nunique()}"))
    facts.append(("seeds", ", ".join(str(seed) for seed in manifest.get("seeds", ()))))
    if corpus is not None:
        train = corpus[corpus["split"] == "train"]
        facts.append(("documents", f"{corpus['documents'].sum():,.0f}"))
        if "tokens" in corpus and len(train):
            facts.append(("training tokens", f"{train['tokens'].iloc[0]:,.0f}"))
    if points is not None:
        facts.append(("examples evaluated", f"{points['examples'].max():,.0f}"))
        real = points[points["bound"].isna()]
        facts.append(("predictors", f"{real['predictor'].nunique()} at {len(real)} points"))
    code = inputs.table("code")
    if code is not None:
        facts.append(("code", ", ".join(code["code"].unique())))
        facts.append(("functions", f"{code['functions'].sum():,.0f}"))
    return [(name, value) for name, value in facts if value]
