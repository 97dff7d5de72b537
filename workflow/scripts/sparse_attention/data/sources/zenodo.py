"""Files of a record on Zenodo, or on another server with the same software, by the record's number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sparse_attention.data.sources import url
from sparse_attention.data.sources.common import SourceError, Wanted, choose

SERVER = "https://zenodo.org"


def plan(source: dict[str, Any], files: list[Wanted] | None) -> tuple[list[Wanted], dict[str, Any]]:
    """Ask the record for its files.

    Returns
    -------
    wanted : list of Wanted
        `files`, or all files of the record, with sizes and checksums from the record.
    resolved : dict
        The source with the key `downloads`: the address of each file by its name.
    """
    try:
        found = {record["key"]: record for record in url.read_json(_api(source))["files"]}
        addresses = {name: record["links"]["self"] for name, record in found.items()}
    except (KeyError, TypeError) as error:
        raise SourceError(f"{_api(source)} does not list files: {type(error).__name__} {error}") from None
    wanted = []
    for item in choose(files, found, f"the record {source['record']}"):
        record = found[item.path]
        size = item.size or record.get("size")
        wanted.append(Wanted(item.path, item.name, item.sha256, size, md5=_md5(record)))
    return wanted, {**source, "downloads": {item.path: addresses[item.path] for item in wanted}}


def fetch(source: dict[str, Any], wanted: list[Wanted], folder: Path) -> None:
    """Download each file to `folder`; interrupted downloads are resumed."""
    for item in wanted:
        url.download(source["downloads"][item.path], folder / item.name, size=item.size)


def by_hand(source: dict[str, Any], item: Wanted | None = None) -> str:
    """Return how to get the file by hand."""
    address = f"{source.get('server', SERVER)}/records/{source['record']}"
    return f"download {item.path if item else 'its files'} from {url.without_password(address)}"


def _api(source: dict[str, Any]) -> str:
    return f"{source.get('server', SERVER)}/api/records/{source['record']}"


def _md5(record: dict[str, Any]) -> str | None:
    kind, _, digits = str(record.get("checksum") or "").partition(":")
    return digits if kind == "md5" else None
