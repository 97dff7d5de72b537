"""Checksums of files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file as hexadecimal text."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def md5_of(path: str | os.PathLike[str]) -> str:
    """Return the MD5 of a file as hexadecimal text; servers such as Zenodo name no other checksum."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def sha256_of_all(paths: Iterable[str | os.PathLike[str]]) -> list[str]:
    """Return the SHA-256 of files, and of the files in folders in the order of their names."""
    found = [file for path in map(Path, paths) for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    return [sha256_of(file) for file in found if file.is_file()]
