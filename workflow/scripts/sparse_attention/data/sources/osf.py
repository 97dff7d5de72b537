"""Files of a project on the Open Science Framework, by the project's id and the files' paths in its storage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sparse_attention.data.sources import url
from sparse_attention.data.sources.common import SourceError, Wanted, choose

API = "https://api.osf.io/v2"


def plan(source: dict[str, Any], files: list[Wanted] | None) -> tuple[list[Wanted], dict[str, Any]]:
    """Ask the project for its files.

    Returns
    -------
    wanted : list of Wanted
        `files`, or all files of the project, with sizes and checksums from the project.
    resolved : dict
        The source with the key `downloads`: the address of each file by its path.
    """
    try:
        found = {
            record["attributes"]["materialized_path"].lstrip("/"): record for record in _files_of(_storage(source))
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise SourceError(f"{_storage(source)} does not list files: {type(error).__name__} {error}") from None
    wanted = []
    for item in choose(files, found, f"the project {source['project']}"):
        attributes = found[item.path]["attributes"]
        sha256 = item.sha256 or attributes.get("extra", {}).get("hashes", {}).get("sha256")
        wanted.append(Wanted(item.path, item.name, sha256, item.size or attributes.get("size")))
    return wanted, {**source, "downloads": {item.path: found[item.path]["links"]["download"] for item in wanted}}


def fetch(source: dict[str, Any], wanted: list[Wanted], folder: Path) -> None:
    """Download each file to `folder`; interrupted downloads are resumed."""
    for item in wanted:
        url.download(source["downloads"][item.path], folder / item.name, size=item.size)


def by_hand(source: dict[str, Any], item: Wanted | None = None) -> str:
    """Return how to get the file by hand."""
    return f"download {item.path if item else 'its files'} from https://osf.io/{source['project']}/"


def _storage(source: dict[str, Any]) -> str:
    return f"{API}/nodes/{source['project']}/files/osfstorage/"


def _files_of(address: str | None) -> Iterator[dict[str, Any]]:
    """Yield the files of a folder and of those inside it, page by page."""
    while address:
        page = url.read_json(address)
        for record in page["data"]:
            if record["attributes"]["kind"] == "folder":
                yield from _files_of(record["relationships"]["files"]["links"]["related"]["href"])
            else:
                yield record
        address = page["links"].get("next")
