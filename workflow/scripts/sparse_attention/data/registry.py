"""Receipts of retrieved data sets and models: their source, folder and files with checksums."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparse_attention.data.sources.common import Wanted
from sparse_attention.data.sources.path import locate, repeats, resolve
from sparse_attention.errors import InputError
from sparse_attention.files.checksums import sha256_of
from sparse_attention.files.plain import read_json, write_json

CACHE = "cache-*.arrow"
# keys that a receipt adds to the source of its entry, from the answer of a hub or project
RESOLVED_KEYS = ("commit", "downloads")


@dataclass(frozen=True)
class Dataset:
    """A retrieved data set or model.

    Attributes
    ----------
    name, version : str
        As in the registry; the version of a path of the user's own is "local".
    root : Path
        The folder of the files; for a model, a folder in the format of Hugging Face.
    files : list of Path
        The path of every file, which starts with `root`, in the registry's order.
    receipt : dict
        The content of the receipt.
    """

    name: str
    version: str
    root: Path
    files: list[Path]
    receipt: dict[str, Any]

    def only_file(self, key: str) -> Path:
        """Return the only file; raise `InputError` that names the configuration's `key` when there are several."""
        if len(self.files) > 1:
            path = self.receipt["source"]["path"]
            raise InputError(f"{key}: {path} has {len(self.files)} files; allowed: one file")
        return self.files[0]

    def file_or_folder(self, key: str) -> Path:
        """Return the user's file or folder; raise `InputError` that names `key` when a glob matches several files."""
        path = self.receipt["source"]["path"]
        return self.root if locate(path).is_dir() else self.only_file(key)

    def record_import(self, path: str | os.PathLike[str]) -> None:
        """Write to `path` the files that imported results come from; jobs that compute these results remove it."""
        write_json(path, {"files": self.receipt["files"]}, indent=2)


def difference(path: Path, record: dict[str, Any]) -> str | None:
    """Return how a file differs from the `sha256` and `size` in its record, if given there; None when it does not."""
    if not path.is_file():
        return "is missing"
    size = record.get("size")
    if size is not None and path.stat().st_size != size:
        return f"has the wrong size: expected {size} bytes, found {path.stat().st_size}"
    expected = record.get("sha256")
    if expected is not None:
        found = sha256_of(path)
        if found != expected:
            return f"has the wrong checksum: expected sha256 {expected}, found {found}"
    return None


def own_files(entry: dict[str, Any]) -> tuple[Path, list[Path]]:
    """Return the root and the files of an entry whose source is a path of the user's own.

    A file of text or code counts once, even if links give it more names; otherwise it could be in two splits. Caches
    beside a saved data set do not count, because they come and go.
    """
    root, files = resolve(entry["source"]["path"])
    again = repeats(files) if entry["kind"] in ("text", "code") else {}
    data = [file for file in files if not fnmatch.fnmatch(file.name, CACHE)]
    return root, [file for file in data or files if file not in again]


def why_stale(path: Path, name: str, entry: dict[str, Any]) -> str | None:
    """Return why a receipt does not belong to the entry as it is now; None when it does, or when there is no receipt.

    Of the user's own files only names and sizes are compared: Snakemake follows their modification times.

    Parameters
    ----------
    path : Path
        The receipt.
    name : str
        Name of the data set.
    entry : dict
        Its registry entry.
    """
    try:
        dataset = open_dataset(path, verify=False)
    except InputError as error:
        return str(error).removeprefix(f"{path}: ") if os.path.lexists(path) else None
    receipt = dataset.receipt
    known = {key: value for key, value in receipt["source"].items() if key not in RESOLVED_KEYS}
    if known != entry["source"]:
        return f"made from {_differing(known, entry['source'])}"
    if (dataset.name, dataset.version, receipt["kind"]) != (name, str(entry["version"]), entry["kind"]):
        return f"made for {dataset.name}, version {dataset.version}, {receipt['kind']}"
    records = {record["path"]: record for record in receipt["files"]}
    found: dict[str, dict[str, Any]]
    if entry["source"]["type"] == "path":
        root, files = own_files(entry)
        found = {file.relative_to(root).as_posix(): {"size": file.stat().st_size} for file in files}
    else:
        wanted = [Wanted.of(record) for record in entry.get("files", ())]
        found = {item.name: {"size": item.size, "sha256": item.sha256} for item in wanted}
    if found and set(found) != set(records):
        return f"made of other files: {min(set(found) ^ set(records))}"
    for file, facts in found.items():
        if any(value not in (None, records[file][fact]) for fact, value in facts.items()):
            return f"made of another {file}"
    return None


def _differing(old: dict[str, Any], new: dict[str, Any]) -> str:
    key = next(key for key in [*new, *old] if old.get(key) != new.get(key))
    return f"source.{key} {old.get(key)!r}, which is now {new.get(key)!r}"


def write_receipt(
    path: Path, name: str, entry: dict[str, Any], source: dict[str, Any], root: Path, files: Iterable[Path]
) -> None:
    """Write a receipt with the sizes and checksums of files.

    Parameters
    ----------
    path : Path
        The receipt to write.
    name : str
        Name of the data set.
    entry : dict
        Its registry entry.
    source : dict
        The entry's source with what the retrieval added to it, such as a commit.
    root : Path
        The folder of the files. A relative one is stored relative to the receipt, so that both can be moved together.
    files : iterable of Path
        The files, each below `root`.
    """
    stored_root = root.as_posix() if root.is_absolute() else Path(os.path.relpath(root, path.parent)).as_posix()
    records = [
        {"path": file.relative_to(root).as_posix(), "sha256": sha256_of(file), "size": file.stat().st_size}
        for file in files
    ]
    receipt = {
        "dataset": name,
        "version": str(entry["version"]),
        "kind": entry["kind"],
        "root": stored_root,
        "files": records,
        "licence": entry.get("licence"),
        "citation": entry.get("citation"),
        "source": source,
    }
    write_json(path, receipt, indent=2, ensure_ascii=False)


def open_dataset(receipt_path: str | os.PathLike[str], verify: bool = True) -> Dataset:
    """Read a receipt and check that its files have not changed.

    Raises
    ------
    InputError
        When the receipt cannot be read, or (with `verify`) a file is missing or differs.
    """
    path = Path(receipt_path)
    if not os.path.lexists(path):
        raise InputError(f"{path}: there is no such receipt; the rule retrieve writes it")
    receipt = read_json(path, "a receipt; delete it and retrieve again")
    try:
        root = Path(os.path.normpath(path.parent / receipt["root"]))
        files = [root / record["path"] for record in receipt["files"]]
        dataset = Dataset(receipt["dataset"], receipt["version"], root, files, receipt)
        if not isinstance(receipt["source"], dict) or not isinstance(receipt["kind"], str):
            raise TypeError("source or kind")
        if any({"size", "sha256"} - set(record) for record in receipt["files"]):
            raise KeyError("size or sha256")
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a receipt ({error}); delete it and retrieve again") from None
    if verify:
        for file, record in zip(files, receipt["files"], strict=True):
            problem = difference(file, record)
            if problem:
                raise InputError(f"{file}: {problem}; if the change is intended, delete {path} and run again")
    return dataset
