"""Describes a bundle for readers: what is in it, how to use it, and cards of its models and data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sparse_attention.archiving.bundle import Member
from sparse_attention.archiving.stages import EXPORTS, FIGURES, STAGES, is_mixed
from sparse_attention.files.room import size

CONTENTS = {
    "tables": "the published tables, the pages of surviving tokens, and `results/provenance/manifest.json`",
    FIGURES: "the figures as SVG, PDF and PNG, `results/report.html`, and tables as LaTeX",
    EXPORTS: "classifiers after soft and hard pruning, the pruned data set, and language models that were trained or "
    "exported under predicted attention",
    "predictors": "what the tables are made from: one table for each job that evaluated something",
    "centroids": "projections and centroids",
    "qk": "queries, keys and their gold supports",
    "models": "prepared texts and code, language models and classifiers",
}


def summary_of(manifest: Mapping[str, Any]) -> str:
    """Return in one line what was run.

    Parameters
    ----------
    manifest : mapping
        The content of `results/provenance/manifest.json`.
    """
    config = manifest["config"]
    seeds = ", ".join(map(str, config["seeds"]))
    text = (
        f"Predicted attention sparsity of {config['model']} on {config['corpus']} ({', '.join(config['attentions'])})"
    )
    code = f", and token pruning of {config['classifier']} on {config['code']}" if config["code"] else ""
    return f"{text}{code}; {'seeds' if len(config['seeds']) > 1 else 'seed'} {seeds}"


def readme(
    manifest: Mapping[str, Any], citation: Mapping[str, Any], stages: Sequence[str], members: Iterable[Member]
) -> str:
    """Return the text of a bundle's `README.md`.

    Parameters
    ----------
    manifest : mapping
        The content of `results/provenance/manifest.json`.
    citation : mapping
        The content of `CITATION.cff`.
    stages : sequence of str
        The stages in the bundle.
    members : iterable of Member
        Its files.
    """
    files = list(members)
    total = f"{len(files)} files, {size(sum(member.size for member in files))}"
    starts = [stage for stage in reversed(STAGES) if stage in stages]
    parts = [
        f"# Results of {citation['title']}",
        f"{summary_of(manifest)}. {_origin(manifest['code'], citation['version'])}",
        "## What is in it",
        "\n".join(f"- {stage}: {CONTENTS[stage]}" for stage in stages),
        f"In all {total}. `bundle.json` lists the files with their SHA-256, `ro-crate-metadata.json` describes them "
        "for machines, `config.yaml` is the configuration and `constraints.txt` holds the versions of all packages.",
    ]
    if starts:
        parts += ["## How to use it", _usage(starts)]
    if "models" in stages:
        parts += ["## Models", _models(manifest["config"])]
    parts += ["## Data and models that the run started from", *(_source(receipt) for receipt in manifest["data"])]
    licence = f"The workflow is under the {citation['license']} licence. Data and models keep their own, named above."
    if is_mixed(stages, (member.path for member in files)):
        licence += " This bundle holds text, code or models of others: look at their licences before you pass it on."
    return "\n\n".join([*parts, "## Licence", licence]) + "\n"


def _origin(code: Mapping[str, Any], packing: Any) -> str:
    """Return with which version of the workflow a run was made, and with which it was packed if that is another.

    Parameters
    ----------
    code : mapping
        The version and the commit in the run's manifest; the version is missing from manifests of older versions.
    packing : object
        The version that packs.
    """
    version, commit = code.get("version"), code.get("commit")
    named = [f"version {version}"] if version else []
    if commit:
        changed = " with changes" if code.get("dirty") else ""
        named.append(f"(commit {commit[:12]}{changed})" if version else f"commit {commit[:12]}{changed}")
    packed = "" if version == str(packing) else f"{', packed' if named else 'Packed'} with version {packing}"
    return f"{'Made with ' if named else ''}{' '.join(named)}{packed}."


def _usage(stages: Sequence[str]) -> str:
    others = f" (or {' or '.join(stages[1:])}, to compute more of it anew)" if stages[1:] else ""
    return (
        "In a clone of the workflow, put `config.yaml` and the bundle into one folder, write\n\n"
        f"    start_from: {{stage: {stages[0]}, path: FOLDER/bundle.zip}}\n\n"
        f"into a file `start.yaml`{others}, and run\n\n"
        "    snakemake --cores all --configfile FOLDER/config.yaml start.yaml"
    )


def _models(config: Mapping[str, Any]) -> str:
    """Return the cards of the trained models."""
    training, length = config["train_mlm"], config["blocks"]["length"]
    lines = [
        f"- Language models `results/models/{config['corpus']}/{config['model']}/<attention>/seed~<seed>/model`: "
        f"{config['model']} with {' or '.join(config['attentions'])} attention, fine-tuned on {config['corpus']} by "
        f"masked language modelling for {training['steps']} steps of {training['batch_size']} blocks of {length} "
        "tokens. For research on the sparsity of attention; not tested for any other use. Losses: "
        "`results/tables/masked_lm.tsv`."
    ]
    if config["code"]:
        lines.append(
            f"- Classifiers `results/pruning/{config['code']}/{config['classifier']}/seed~<seed>/dense/model`: "
            f"{config['classifier']} fine-tuned to tell defective functions of {config['code']} for "
            f"{config['train_classifier']['epochs']} epochs. For research on pruning; their mistakes are in "
            "`results/tables/pruning.tsv`, and nobody should rely on them to find defects."
        )
    return "\n".join(lines)


def licence_of(receipt: Mapping[str, Any]) -> str:
    """Return the licence of a data set or model in words, also where nobody has stated it."""
    stated = receipt.get("licence")
    if not stated and (receipt.get("source") or {}).get("type") == "path":
        return "not stated, because it came from a folder of the run's owner; ask them before passing it on"
    return str(stated) if stated else "not stated; ask its authors before passing it on"


def _source(receipt: Mapping[str, Any]) -> str:
    """Return the card of a data set or model."""
    lines = [f"- {receipt['dataset']}, version {receipt['version']} ({receipt['kind']})"]
    lines.append(f"  - licence: {licence_of(receipt)}")
    if receipt.get("citation"):
        lines.append(f"  - citation: {receipt['citation']}")
    lines.append(f"  - files: {len(receipt['files'])}, their SHA-256 in `results/provenance/manifest.json`")
    return "\n".join(lines)
