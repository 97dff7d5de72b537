"""Checks that every reader of a user's file starts with, and reading and writing of JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from sparse_attention.errors import InputError, reason
from sparse_attention.files.atomic import atomic_path

LFS_POINTER = b"version https://git-lfs"
WEB_PAGE = (b"<!doctype html", b"<html")


def refuse_pointer(path: Path, start: bytes) -> None:
    """Raise `InputError` when a file's first bytes show that it is a pointer of Git LFS instead of the file itself."""
    if start.startswith(LFS_POINTER):
        text = "is a Git LFS pointer, not the file itself; run git lfs pull in the repository it comes from"
        raise InputError(f"{path}: {text}")


def require_file(path: str | os.PathLike[str], allowed: str = "") -> Path:
    """Return the path of a file after a check that the file is there and can be read.

    Parameters
    ----------
    path : path-like
    allowed : str
        What the file should be, for the error message.

    Raises
    ------
    InputError
        When there is no such file, it cannot be read, or it is a folder, a pointer of Git LFS or a web page.
    """
    path = Path(path)
    if not path.is_file():
        wrong = "is a folder, not a file" if path.is_dir() else "there is no such file"
        raise InputError(f"{path}: {wrong}" + (f"; allowed: {allowed}" if allowed else ""))
    try:
        with path.open("rb") as stream:
            start = stream.read(64)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    refuse_pointer(path, start)
    if start.lstrip().lower().startswith(WEB_PAGE):
        raise InputError(f"{path}: is a web page, not the file itself; get the file again")
    return path


def read_json(path: str | os.PathLike[str], allowed: str) -> dict[str, Any]:
    """Read a JSON object.

    Parameters
    ----------
    path : path-like
    allowed : str
        What the file should be, for the error message.

    Raises
    ------
    InputError
        When there is no such file, or it does not hold one JSON object in UTF-8.
    """
    file = require_file(path, allowed)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except RecursionError:
        raise InputError(f"{file}: not valid JSON (nested too deeply); allowed: {allowed}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: not valid JSON ({reason(error)}); allowed: {allowed}") from None
    if not isinstance(content, dict):
        raise InputError(f"{file}: holds no JSON object; allowed: {allowed}")
    return content


def write_json(path: str | os.PathLike[str], content: Any, indent: int = 1, ensure_ascii: bool = True) -> None:
    """Write `content` to a JSON file atomically; with `ensure_ascii`, other characters are escaped."""
    text = json.dumps(content, indent=indent, ensure_ascii=ensure_ascii) + "\n"
    with atomic_path(path) as partial:
        # a lone surrogate cannot be encoded: JSON writes it as an escape
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")
