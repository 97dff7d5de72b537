"""What a draft on Zenodo says of a bundle, in the terms of Zenodo's deposit API."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sparse_attention.archiving.card import licence_of
from sparse_attention.archiving.crate import names_of

OPEN = "notspecified"
"""Zenodo's name for a licence that is not specified; without any name it takes CC0 for data sets."""
_KINDS = {"conference-paper": "publication-conferencepaper", "article": "publication-article"}
_IDENTIFIER = re.compile(r"\b10\.\d{4,9}/[^\s;,<>]*[^\s;,<>.)]|\barXiv:\d{4}\.\d{4,5}\b")


def metadata_of(
    citation: Mapping[str, Any],
    summary: str,
    data: Sequence[Mapping[str, Any]] = (),
    mixed: bool = False,
    version: str | None = None,
) -> dict[str, Any]:
    """Return the metadata of a draft that holds a bundle.

    Parameters
    ----------
    citation : mapping
        The content of `CITATION.cff`.
    summary : str
        What was run, in one line.
    data : sequence of mapping
        The receipts of the data sets and models that the run started from.
    mixed : bool
        Whether the bundle holds works of others. The licence of the workflow is not stated for these.
    version : str, optional
        The version of the workflow that made the run, if known.
    """
    found = {
        "upload_type": "dataset",
        "title": f"Results of {citation['title']}",
        "creators": [{"name": name} for name in names_of(citation)],
        "description": _description(summary, data),
        "keywords": list(citation["keywords"]),
        "license": OPEN if mixed else str(citation["license"]).lower(),
        "references": [receipt["citation"] for receipt in data if receipt.get("citation")],
        "related_identifiers": _related(citation.get("references", ()), data),
    }
    return found | ({"version": version} if version else {})


def _description(summary: str, data: Sequence[Mapping[str, Any]]) -> str:
    """Return a description as HTML, with the licence and citation of each data set and model."""
    text = f"<p>{_plain(summary)}. README.md says what the bundle holds and how figures are made from it.</p>"
    if not data:
        return text
    entries = "".join(f"<li>{_plain(_entry(receipt))}</li>" for receipt in data)
    lead = "The run started from these data sets and models, which keep their own licences:"
    return f"{text}<p>{lead}</p><ul>{entries}</ul>"


def _entry(receipt: Mapping[str, Any]) -> str:
    text = f"{receipt['dataset']}, version {receipt['version']} ({receipt['kind']})"
    text += f"; licence: {licence_of(receipt)}"
    return text + (f"; citation: {receipt['citation']}" if receipt.get("citation") else "")


def _plain(text: str) -> str:
    return html.escape(text, quote=False)


def _related(papers: Iterable[Mapping[str, Any]], data: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return the identifiers of papers and of data, each once; Zenodo refuses what it cannot read as an identifier."""
    found: dict[str, dict[str, str]] = {}
    for paper in papers:
        if "doi" in paper:
            kind = {"resource_type": _KINDS[paper["type"]]} if paper.get("type") in _KINDS else {}
            found[paper["doi"]] = {"identifier": paper["doi"], "relation": "cites", **kind}
    for receipt in data:
        source = receipt.get("source") or {}
        if source.get("type") == "zenodo" and not source.get("server"):
            name = f"10.5281/zenodo.{source['record']}"
            found[name] = {"identifier": name, "relation": "isDerivedFrom", "resource_type": "dataset"}
        for name in _IDENTIFIER.findall(receipt.get("citation") or ""):
            found.setdefault(name, {"identifier": name, "relation": "cites"})
    return list(found.values())
