"""The user's own file, folder or glob: nothing is copied."""

from __future__ import annotations

import fnmatch
import glob
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from sparse_attention.errors import InputError

# what Snakemake takes for a wildcard in the name of a file; there is no way to write it otherwise
WILDCARD = re.compile(r"\{.*\}", re.DOTALL)


def resolve(path: str, folder: Path = Path()) -> tuple[Path, list[Path]]:
    """Return the folder that a path, folder or glob names, and its files in sorted order, hidden ones left out.

    Links are followed. A folder that several ways lead to, a loop among them, counts once. What exists is taken as it
    is written, also where its name holds `*`, `?` or `[`; so is each part of a glob.

    Parameters
    ----------
    path : str
        As a user writes it; `~` is the home folder.
    folder : Path
        Where a relative path starts.

    Raises
    ------
    InputError
        When there is nothing at the path, or when something below it cannot be read: a folder without permission, a
        link to nothing, a name that is not UTF-8.
    """
    try:
        given = located(path, folder)
        if given.is_dir():
            root, files = given, sorted(_matches(given, ("**",)))
        elif given.is_file():
            return given.parent, [_checked(given)]
        elif os.path.lexists(given) or not glob.has_magic(str(given)):
            raise InputError(f"{_shown(path)}: {_problem(given)}")
        else:
            root, parts = _fixed(given)
            files = sorted(set(_matches(root, parts)))
    except OSError as error:
        raise InputError(f"{_shown(error.filename or path)}: {error.strerror}") from None
    if not files:
        raise InputError(f"{_shown(path)}: there is no file")
    return root, files


def located(path: str, folder: Path = Path()) -> Path:
    """Return where a path leads to: `~` in front is a home folder unless something here is called so."""
    if "\0" in path:
        raise InputError(f"{_shown(path)}: holds a null character, which no name can")
    given = folder / path
    first = path.split("/")[0]
    if not first.startswith("~") or os.path.lexists(given) or (first != "~" and os.path.lexists(folder / first)):
        return given
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InputError(f"{_shown(path)}: the home folder is not known; allowed: the whole path") from None


def repeats(files: Iterable[Path]) -> dict[Path, Path]:
    """Return the files that are others of them under a second name, each with the one to keep: no link if possible."""
    kept: dict[str, Path] = {}
    found = {}
    for file in sorted(files, key=lambda file: (file.is_symlink(), file)):
        first = kept.setdefault(os.path.realpath(file), file)
        if first != file:
            found[file] = first
    return found


def watchable(files: Iterable[Path]) -> list[str]:
    """Return the files that Snakemake can watch: it knows no way to write a brace."""
    return [str(file) for file in files if not WILDCARD.search(str(file))]


def stamp(files: Iterable[Path]) -> str:
    """Return text that changes when one of the files changes that Snakemake cannot watch; empty when there are none."""
    unwatched = [file for file in files if WILDCARD.search(str(file))]
    states = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in unwatched]
    return hashlib.sha256(repr(states).encode()).hexdigest()[:16] if states else ""


def _fixed(pattern: Path) -> tuple[Path, tuple[str, ...]]:
    """Split a glob into the folder that it starts from and the rest."""
    root = Path()
    for index, part in enumerate(pattern.parts):
        if glob.has_magic(part) and not os.path.lexists(root / part):
            return root, pattern.parts[index:]
        root /= part
    return root, ()


def _matches(folder: Path, parts: tuple[str, ...]) -> Iterator[Path]:
    """Yield the files that match a glob; unlike the standard library's, this one ends where links form a loop."""
    head, rest = parts[0], parts[1:]
    if head == "**":
        for inner in _folders(folder):
            yield from _matches(inner, rest or ("*",))
        return
    literal = not glob.has_magic(head) or os.path.lexists(folder / head)
    for name in [head] if literal else [name for name in _names(folder) if fnmatch.fnmatchcase(name, head)]:
        path = folder / name
        if rest and path.is_dir():
            yield from _matches(path, rest)
        elif not rest and not path.is_dir() and os.path.lexists(path) and _checked(path).is_file():
            yield path


def _folders(root: Path) -> Iterator[Path]:
    """Yield a folder and all below it, each once: real ones before those that a link leads to."""
    seen: set[str] = set()
    real, linked = [root], list[Path]()
    while real or linked:
        folder = real.pop() if real else linked.pop(0)
        identity = os.path.realpath(folder)
        if identity in seen:
            continue
        seen.add(identity)
        yield folder
        for name in _names(folder):
            path = folder / name
            if path.is_symlink() and not path.exists():
                _checked(path)
            if path.is_dir():
                (linked if path.is_symlink() else real).append(_checked(path))


def _names(folder: Path) -> list[str]:
    return sorted(name for name in os.listdir(folder) if not name.startswith("."))


def _checked(path: Path) -> Path:
    """Return a path that is there and can be written down."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise InputError(f"{_shown(path)}: the name is not UTF-8; rename it") from None
    if path.is_symlink() and not path.exists():
        raise InputError(f"{_shown(path)}: {_problem(path)}; mend the link or remove it")
    return path


def _problem(path: Path) -> str:
    if path.is_symlink():
        return f"a link to {_shown(os.readlink(path))}, which does not exist"
    if path.exists():
        return "neither a file nor a folder"
    blank = str(path) != str(path).strip()
    return "no such file or folder" + ("; the path starts or ends with a blank or a new line" if blank else "")


def _shown(path: str | os.PathLike[str]) -> str:
    """Return a path for a message of one line."""
    return str(path).replace("\n", "\\n")
