"""Writes files so that they are either complete or absent."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it becomes `path` if the block ends without error, else it is removed."""
    target = Path(path)
    partial = _partial_of(target)
    try:
        yield partial
        if target.is_dir() and partial.is_dir():
            # a folder cannot be replaced in one step; in two it is never seen half deleted
            old = partial.with_name(f"{partial.name}-old")
            os.replace(target, old)
            os.replace(partial, target)
            _remove(old)
        else:
            os.replace(partial, target)
    finally:
        _remove(partial)


def require_writable(path: str | os.PathLike[str]) -> None:
    """Raise `OSError` when `atomic_path` could write nothing; the folders above `path` are made as it makes them."""
    partial = _partial_of(Path(path))
    partial.touch()
    partial.unlink()


def _partial_of(target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    return target.with_name(f".{target.name}.partial-{os.getpid()}")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
