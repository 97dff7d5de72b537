"""Assemble the report from sentences, figures and tables."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import pandas as pd
from markupsafe import Markup

from sparse_attention.files.atomic import atomic_path
from sparse_attention.files.tables import read_table
from sparse_attention.metrics.facts import support_metrics
from sparse_attention.plotting import registry as plots
from sparse_attention.reporting import content, findings, insights, pruning, sparse_mlm, timings
from sparse_attention.reporting.papers import papers
from sparse_attention.summaries import registry as published
from sparse_attention.summaries.registry import TableInfo
from sparse_attention.summaries.wording import kept_tokens, spell, spell_pruning

KEY_PACKAGES = ("torch", "transformers", "scikit-learn", "numpy", "pandas", "matplotlib", "snakemake")
REM_PER_POINT = 0.1
"""Scale of all figures on the page: about a fifth larger than in print."""


class Setting(NamedTuple):
    """The window and the kept tokens that the figures show, and the sparsity at which single points are compared."""

    window: int
    keep: str
    sparsity: float


@dataclass(frozen=True)
class Figure:
    """A figure of the page: its SVG as a data URL in `source`, and its width in rem."""

    name: str
    title: str
    section: str
    caption: Markup
    source: str
    width: float


class Inputs:
    """The tables and the paths of the figures, by the stem of their files; any of them may be missing."""

    def __init__(self, tables: Iterable[str], figures: Iterable[str]) -> None:
        self.tables = {Path(path).stem: read_table(path) for path in tables}
        self.paths = {Path(path).stem: Path(path) for path in figures}

    def table(self, name: str) -> pd.DataFrame | None:
        """Return a table, or None if it is missing or has no rows."""
        frame = self.tables.get(name)
        return None if frame is None or frame.empty else frame

    def figures(self) -> list[Figure]:
        """Return the figures in the order of the report."""
        drawn = []
        for name, info in plots.discover().items():
            if name in self.paths:
                drawing = self.paths[name].read_bytes()
                source = f"data:image/svg+xml;base64,{base64.b64encode(drawing).decode('ascii')}"
                points = re.search(rb'<svg[^>]* width="([\d.]+)pt"', drawing)
                width = float(points[1]) * REM_PER_POINT if points else 40
                drawn.append(Figure(name, info.title, info.section, marked_up(info.caption), source, round(width, 1)))
        return drawn


def marked_up(text: str) -> Markup:
    """Turn a caption into HTML; it is plain reStructuredText with words and ``literals`` only."""
    return Markup(re.sub(r"``(.+?)``", r"<code>\1</code>", html.escape(text, quote=False)))


def render(
    template: str,
    inputs: Inputs,
    manifest: Mapping[str, Any],
    context: Mapping[str, Any],
    setting: Setting,
    pages: Sequence[str] = (),
) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    template : path
        Path of the Jinja template.
    inputs : Inputs
        The tables and figures to show.
    manifest : mapping
        The provenance manifest.
    context : mapping
        `corpus` and `model`.
    setting : Setting
        The setting that the figures show.
    pages : sequence of str
        Pages of surviving tokens, `.../seed~<seed>/<pruning>/<page>`, relative to the report.
    """
    folder, name = os.path.split(template)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder or "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    config = manifest.get("config", {})
    script = _beside(template, "report.js")
    return environment.get_template(name).render(
        script=script,
        style=_beside(template, "report.css"),
        policy=content_policy(script),
        context=context,
        config=config,
        manifest=manifest,
        config_text=json.dumps(config, indent=2, ensure_ascii=False),
        key_packages={name: manifest["packages"][name] for name in KEY_PACKAGES if name in manifest["packages"]},
        facts=run_facts(inputs, manifest, context),
        findings=section_findings(inputs, config, setting),
        figures=inputs.figures(),
        tables=shown_tables(inputs, setting),
        papers=papers(inputs.table("predictors")),
        metrics=support_metrics().values(),
        files=[
            (table, len(inputs.tables[name]), marked_up(table.caption))
            for name, table in sorted(published.discover().items())
            if name in inputs.tables and not table.timed
        ],
        setting=setting,
        kept=kept_tokens(setting.keep),
        pages=[(page, page_label(page)) for page in pages],
    )


def _beside(template: str, name: str) -> Markup:
    """Return the text of a file that the page includes, which lies beside the template."""
    return Markup(Path(template).with_name(name).read_text(encoding="utf-8"))


def content_policy(script: str) -> str:
    """Return the policy that a browser holds the page to: its own script and images inside it, and nothing else."""
    # the template puts a line break before the script
    digest = base64.b64encode(hashlib.sha256(f"\n{script}".encode()).digest()).decode("ascii")
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def page_label(page: str) -> str:
    """Return the label of a page of surviving tokens: its pruning and seed."""
    seed, name = Path(page).parts[-3:-1]
    return f"{spell_pruning(name)}, {spell(seed)}"


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


def shown_tables(inputs: Inputs, setting: Setting) -> list[content.Table]:
    """Return the tables that the page shows, in the order of the report."""
    windows, keep = str(setting.window), setting.keep
    here = ", ".join(filter(None, [f"window {windows}" if setting.window else "no window", kept_tokens(keep)]))
    tables = []
    for name, info in published.discover().items():
        frame = inputs.table(name)
        if frame is None or info.large:
            continue
        if name == "predictors_at_sparsity":
            tables.append(with_declaration(content.sparsity_table(name, frame, windows, keep), info, here))
            tables += with_any_window(frame, keep)
        elif name == "areas":
            tables.append(with_declaration(content.areas_table(name, frame, windows, keep), info, here))
        else:
            if name == "predictors":
                frame = frame[(frame["window"] == setting.window) & (frame["keep"] == keep)]
            hidden = [str(name) for name in frame if any(fnmatch(str(name), part) for part in info.left_out)]
            tables.append(with_declaration(content.plain_table(name, frame, hidden), info, here))
    return tables


def with_declaration(table: content.Table, info: TableInfo, here: str) -> content.Table:
    """Return `table` with the title, caption and section that its class declares; `here` describes the setting."""
    return replace(
        table,
        title=info.title.format(here=here),
        caption=marked_up(info.caption),
        section=info.section,
        folded=info.folded.format(here=here),
        files=f"tables/{info.name}.tsv, .tex" if info.latex else "",
    )


def with_any_window(fixed: pd.DataFrame, keep: str) -> list[content.Table]:
    """Return a table with the best window at each fixed sparsity, for each choice of kept tokens."""
    tables = []
    if (fixed["windows"].astype(str) == "all").any():
        others = [str(kept) for kept in fixed["keep"].unique() if kept != keep]
        for kept in [*([keep] if (fixed["keep"] == keep).any() else []), *others]:
            words = f", {kept_tokens(kept)}" if kept != keep else ""
            name = f"predictors_at_sparsity_all{f'_{kept}' if kept != keep else ''}"
            table = content.sparsity_table(name, fixed, "all", kept)
            title = f"At fixed sparsities, with any window{words}"
            caption = "As the table at fixed sparsities, with the best window of each predictor at each sparsity."
            tables.append(replace(table, title=title, caption=caption, section="windows"))
    return tables


def write(text: str, path: str | os.PathLike[str]) -> None:
    """Write the page to `path`, which appears only when it is complete."""
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")
