"""Assemble the report from sentences, figures and tables."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from sparse_attention.files.atomic import atomic_path
from sparse_attention.metrics.facts import support_metrics
from sparse_attention.reporting import content, exploring, introductions, overview
from sparse_attention.reporting.cautions import cautions
from sparse_attention.reporting.inputs import Inputs, Setting, marked_up
from sparse_attention.reporting.papers import papers
from sparse_attention.reporting.templates import open_template
from sparse_attention.summaries import registry as published
from sparse_attention.summaries.registry import TableInfo
from sparse_attention.summaries.wording import kept_tokens, spell, spell_pruning

KEY_PACKAGES = ("torch", "transformers", "scikit-learn", "numpy", "pandas", "matplotlib", "snakemake")


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
    config = manifest.get("config", {})
    models = inputs.table("masked_lm")
    figures = inputs.figures()
    points = exploring.explored(inputs.table, [figure.name for figure in figures], setting)
    library, packed = exploring.plotting_library() if points else ("", "")
    script, explore = _beside(template, "report.js"), _beside(template, "explore.js")
    sentences = overview.section_findings(inputs, config, setting)
    return open_template(template).render(
        script=script,
        style=_beside(template, "report.css"),
        explored=points,
        explore=explore,
        library=packed,
        # the template puts a line break before the page's own scripts
        policy=content_policy(f"\n{script}", *([f"\n{explore}", library] if points else [])),
        context=context,
        config=config,
        manifest=manifest,
        config_text=json.dumps(config, indent=2, ensure_ascii=False),
        key_packages={name: manifest["packages"][name] for name in KEY_PACKAGES if name in manifest["packages"]},
        facts=overview.run_facts(inputs, manifest, context),
        headlines=overview.headlines(sentences),
        cautions=cautions(inputs.table, manifest["seeds"], str(setting.window), setting.keep),
        findings=sentences,
        figures=figures,
        tables=shown_tables(inputs, setting),
        papers=papers(inputs.table("predictors")),
        attentions=0 if models is None else models["attention"].nunique(),
        metrics=support_metrics().values(),
        files=[
            (table, len(inputs.tables[name]), marked_up(table.caption))
            for name, table in sorted(published.discover().items())
            if name in inputs.tables and not table.timed
        ],
        setting=setting,
        kept=kept_tokens(setting.keep),
        introductions=introductions.of_code(config, inputs.table),
        pages=[(page, page_label(page)) for page in pages],
        # the same in a report drawn from archived tables, which is that of the run that made them
        exported=config.get("export_pruned") is not None,
    )


def _beside(template: str, name: str) -> Markup:
    """Return the text of a file that the page includes, which lies beside the template."""
    return Markup(Path(template).with_name(name).read_text(encoding="utf-8"))


def content_policy(*scripts: str) -> str:
    """Return the policy that a browser holds the page to: these scripts, images inside it, and nothing else."""
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii") for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    nothing = "default-src 'none'; base-uri 'none'; form-action 'none'"
    return f"{nothing}; img-src data:; style-src 'unsafe-inline'; script-src {allowed}"


def page_label(page: str) -> str:
    """Return the label of a page of surviving tokens: its pruning and seed."""
    seed, name = Path(page).parts[-3:-1]
    return f"{spell_pruning(name)}, {spell(seed)}"


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
