"""Receipts: what was retrieved, where it lies, and the proof that it is what the registry names."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparse_attention.data.sources.common import Wanted
from sparse_attention.data.sources.path import located, repeats, resolve
from sparse_attention.errors import InputError
from sparse_attention.files.checksums import sha256_of
from sparse_attention.files.plain import read_json, write_json

CACHE = "cache-*.arrow"
# what asking a hub or a project adds to its source
ANSWERS = ("commit", "downloads")


@dataclass(frozen=True)
class Dataset:
    """A retrieved data set or model.

    Attributes
    ----------
    name, version : str
        As in the registry; the version of a user's own path is "local".
    root : Path
        Folder that the files lie in; that of a model is a Hugging Face folder.
    files : list of Path
        Every file, `root` included, in the registry's order.
    receipt : dict
        The receipt as it was read.
    """

    name: str
    version: str
    root: Path
    files: list[Path]
    receipt: dict[str, Any]

    def only_file(self, key: str) -> Path:
        """Return the one file there is; `InputError` with the configuration's `key` when there are several."""
        if len(self.files) > 1:
            path = self.receipt["source"]["path"]
            raise InputError(f"{key}: {path} has {len(self.files)} files; allowed: one file")
        return self.files[0]

    def file_or_folder(self, key: str) -> Path:
        """Return what the user's path leads to; `InputError` with `key` when it is a glob of several files."""
        path = self.receipt["source"]["path"]
        return self.root if located(path).is_dir() else self.only_file(key)

    def record_import(self, path: str | os.PathLike[str]) -> None:
        """Write beside results which files they are taken from; what fits the same results removes the record."""
        write_json(path, {"files": self.receipt["files"]}, indent=2)


def difference(path: Path, record: dict[str, Any]) -> str | None:
    """Say how a file differs from its record's `sha256` and `size`, as far as these are given; None when it fits."""
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
    """Return the root and the files of an entry whose source is a path of the user's.

    What is read as text counts once: under a second name it would be in two splits. Caches beside a saved data set
    come and go, and are none of it.
    """
    root, files = resolve(entry["source"]["path"])
    again = repeats(files) if entry["kind"] in ("text", "code") else {}
    data = [file for file in files if not fnmatch.fnmatch(file.name, CACHE)]
    return root, [file for file in data or files if file not in again]


def why_stale(path: Path, name: str, entry: dict[str, Any]) -> str | None:
    """Say why a receipt is not that of an entry as it is now; None when it is, or when there is none yet.

    Sizes of the user's own files count, their content does not: Snakemake follows their times.
    """
    try:
        dataset = open_dataset(path, verify=False)
    except InputError as error:
        return str(error).removeprefix(f"{path}: ") if os.path.lexists(path) else None
    receipt = dataset.receipt
    known = {key: value for key, value in receipt["source"].items() if key not in ANSWERS}
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
    """Write the receipt of `files`, which lie in `root`, with their sizes and checksums.

    A `root` that is given as a relative path is kept relative to the receipt, so that the folder tree can be moved.
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
    """Read a receipt and check that every file still is what it records.

    Raises
    ------
    InputError
        When the receipt cannot be read, or (with `verify`) a file is missing or differs.
    """
    path = Path(receipt_path)
    if not os.path.lexists(path):
        raise InputError(f"{path}: no such receipt; the rule retrieve writes it")
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
                raise InputError(f"{file}: {problem}; if the change is meant, delete {path} and run again")
    return dataset
