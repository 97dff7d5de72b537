"""Receipts: what was retrieved, where it lies, and the proof that it is what the registry names."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparse_attention.errors import InputError
from sparse_attention.scriptio import atomic_path

CHUNK = 1 << 20


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


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal text."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


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
    with atomic_path(path) as partial:
        partial.write_text(json.dumps(receipt, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def open_dataset(receipt_path: str | os.PathLike[str], verify: bool = True) -> Dataset:
    """Read a receipt and check that every file still is what it records.

    Raises
    ------
    InputError
        When the receipt cannot be read, or (with `verify`) a file is missing or differs.
    """
    path = Path(receipt_path)
    try:
        receipt = json.loads(path.read_text(encoding="utf-8"))
        root = Path(os.path.normpath(path.parent / receipt["root"]))
        files = [root / record["path"] for record in receipt["files"]]
        dataset = Dataset(receipt["dataset"], receipt["version"], root, files, receipt)
    except FileNotFoundError:
        raise InputError(f"{path}: no such receipt; the rule retrieve writes it") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a receipt ({error}); delete it and retrieve again") from None
    if verify:
        for file, record in zip(files, receipt["files"], strict=True):
            problem = difference(file, record)
            if problem:
                raise InputError(f"{file}: {problem}; if the change is meant, delete {path} and run again")
    return dataset
