"""Describes a bundle for machines, as an RO-Crate (https://w3id.org/ro/crate)."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from sparse_attention.archiving.bundle import Member

NAME = "ro-crate-metadata.json"
_TYPES = {
    ".cff": "application/yaml",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".tsv": "text/tab-separated-values",
    ".yaml": "application/yaml",
}
_OTHER = "application/octet-stream"
_LICENCES = {"MIT": "https://spdx.org/licenses/MIT", "Apache-2.0": "https://spdx.org/licenses/Apache-2.0"}


def describe(
    citation: Mapping[str, Any],
    summary: str,
    members: Iterable[Member],
    data: Iterable[Mapping[str, Any]],
    later: Iterable[str] = (),
    mixed: bool = False,
) -> str:
    """Return the content of a bundle's `ro-crate-metadata.json`; the same bundle gives the same text.

    Parameters
    ----------
    citation : mapping
        The content of `CITATION.cff`. Its date of release is the crate's date, because a date of today would change the
        bytes of a bundle.
    summary : str
        What was run, in one line.
    members : iterable of Member
        The files of the bundle.
    data : iterable of mapping
        The receipts of the data sets and models that the run started from.
    later : iterable of str
        The names of files that are written after this text, and so have no checksum in it.
    mixed : bool
        Whether the bundle holds works of others. The licence of the workflow is not stated for these.
    """
    crate = ROCrate()
    root = crate.root_dataset
    crate.name, crate.description = citation["title"], summary
    root["datePublished"] = str(citation["date-released"])
    root["license"] = crate.add(_several(crate) if mixed else _licence(crate, citation["license"]))
    root["author"] = [
        crate.add(ContextEntity(crate, f"#author-{number}", {"@type": "Organization", "name": name}))
        for number, name in enumerate(names_of(citation), 1)
    ]
    root["isBasedOn"] = [crate.add(_source(crate, receipt)) for receipt in data]
    for member in members:
        facts = {"contentSize": str(member.size), "sha256": member.sha256, "encodingFormat": _kind(member.path)}
        crate.add_file(dest_path=member.path, properties=facts)
    for name in later:
        crate.add_file(dest_path=name, properties={"encodingFormat": _kind(name)})
    return json.dumps(crate.metadata.generate(), indent=1, ensure_ascii=False) + "\n"


def read_citation(workflow: Path) -> dict[str, Any]:
    """Return the content of `CITATION.cff` in the folder of the workflow."""
    content: dict[str, Any] = yaml.safe_load((workflow / "CITATION.cff").read_text(encoding="utf-8"))
    return content


def names_of(citation: Mapping[str, Any]) -> list[str]:
    """Return the names of the authors in `CITATION.cff`."""
    return [author.get("name") or f"{author['given-names']} {author['family-names']}" for author in citation["authors"]]


def _kind(path: str) -> str:
    suffix = "." + path.rsplit(".", 1)[-1]
    return _TYPES.get(suffix) or mimetypes.types_map.get(suffix, _OTHER)


def _licence(crate: ROCrate, name: str) -> ContextEntity:
    return ContextEntity(crate, _LICENCES.get(name, f"#licence-{name}"), {"@type": "CreativeWork", "name": name})


def _several(crate: ROCrate) -> ContextEntity:
    text = "Data sets and models keep their own licences, which isBasedOn and README.md name."
    return ContextEntity(crate, "#licences", {"@type": "CreativeWork", "name": "several licences", "description": text})


def _source(crate: ROCrate, receipt: Mapping[str, Any]) -> ContextEntity:
    """Return a data set or model that the run started from, with the licence and citation that the registry states."""
    facts = {"@type": "Dataset", "name": receipt["dataset"], "version": receipt["version"]}
    for ours, theirs in (("licence", "license"), ("citation", "citation")):
        if receipt.get(ours):
            facts[theirs] = receipt[ours]
    return ContextEntity(crate, f"#{receipt['dataset']}-{receipt['version']}", facts)
