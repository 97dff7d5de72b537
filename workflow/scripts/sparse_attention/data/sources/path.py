"""The user's own file, folder or glob: nothing is copied."""

from __future__ import annotations

import glob
from pathlib import Path

from sparse_attention.errors import InputError


def resolve(path: str) -> tuple[Path, list[Path]]:
    """Return the folder that a path, folder or glob names, and its files in sorted order, hidden ones left out."""
    given = Path(path).expanduser()
    if glob.has_magic(str(given)) and not given.exists():
        parts = given.parts
        fixed = next(index for index, part in enumerate(parts) if glob.has_magic(part))
        root = Path(*parts[:fixed])
        files = [Path(name) for name in glob.glob(str(given), recursive=True)]
    elif given.is_dir():
        root, files = given, list(given.rglob("*"))
    elif given.is_file():
        return given.parent, [given]
    else:
        raise InputError(f"{path}: no such file or folder")
    shown = sorted(
        file
        for file in files
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(root).parts)
    )
    if not shown:
        raise InputError(f"{path}: there is no file")
    return root, shown
