"""A file, folder or glob of the user's own; nothing is copied."""

from __future__ import annotations

import fnmatch
import glob
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from sparse_attention.errors import InputError

# Snakemake takes this for a wildcard in the name of a file, and has no way to escape it
WILDCARD = re.compile(r"\{.*\}", re.DOTALL)


def resolve(path: str, folder: Path = Path()) -> tuple[Path, list[Path]]:
    """Return the folder that a path or glob leads to, and its files in sorted order without hidden ones.

    Links are followed; a folder that is reached in several ways, or by a loop of links, counts once. A name with `*`,
    `?` or `[` that exists is taken literally, also as a part of a glob.

    Parameters
    ----------
    path : str
        The path as a user writes it; `~` is the home folder.
    folder : Path
        The folder that a relative path starts from.

    Raises
    ------
    InputError
        When there is nothing at the path, or something below it cannot be read: a folder without permission, a broken
        link, a name that is not UTF-8.
    """
    try:
        given = locate(path, folder)
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
        raise InputError(f"{_shown(path)}: {'contains' if given.is_dir() else 'matches'} no file")
    return root, files


def locate(path: str, folder: Path = Path()) -> Path:
    """Return a user's path below `folder`, a leading `~` replaced by the home folder unless a file has that name."""
    if "\0" in path:
        raise InputError(f"{_shown(path)}: contains a null character; allowed: names without one")
    given = folder / path
    first = path.split("/")[0]
    if not first.startswith("~") or os.path.lexists(given) or (first != "~" and os.path.lexists(folder / first)):
        return given
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InputError(f"{_shown(path)}: the home folder is not known; allowed: a path without ~") from None


def repeats(files: Iterable[Path]) -> dict[Path, Path]:
    """Return the files that repeat another one under a second name, each with the one to keep, if possible no link."""
    kept: dict[str, Path] = {}
    found = {}
    for file in sorted(files, key=lambda file: (file.is_symlink(), file)):
        first = kept.setdefault(os.path.realpath(file), file)
        if first != file:
            found[file] = first
    return found


def watchable(files: Iterable[Path]) -> list[str]:
    """Return the files that Snakemake can watch: those without braces in their names."""
    return [str(file) for file in files if not WILDCARD.search(str(file))]


def stamp(files: Iterable[Path]) -> str:
    """Return a digest of the files that Snakemake cannot watch, from sizes and times; empty when there are none."""
    unwatched = [file for file in files if WILDCARD.search(str(file))]
    states = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in unwatched]
    return hashlib.sha256(repr(states).encode()).hexdigest()[:16] if states else ""


def _fixed(pattern: Path) -> tuple[Path, tuple[str, ...]]:
    """Split a glob into the folder that it starts from and its remaining parts."""
    root = Path()
    for index, part in enumerate(pattern.parts):
        if glob.has_magic(part) and not os.path.lexists(root / part):
            return root, pattern.parts[index:]
        root /= part
    return root, ()


def _matches(folder: Path, parts: tuple[str, ...]) -> Iterator[Path]:
    """Yield the files that match a glob; unlike `glob` of the standard library, it ends where links form a loop."""
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
    """Yield a folder and all folders below it once each: real folders before those reached by links."""
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
    """Return the path; raise `InputError` when its name is not UTF-8 or it is a broken link."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise InputError(f"{_shown(path)}: the name is not UTF-8; rename it") from None
    if path.is_symlink() and not path.exists():
        raise InputError(f"{_shown(path)}: {_problem(path)}; repair the link or remove it")
    return path


def _problem(path: Path) -> str:
    if path.is_symlink():
        return f"is a link to {_shown(os.readlink(path))}, which does not exist"
    if path.exists():
        return "is neither a file nor a folder"
    blank = str(path) != str(path).strip()
    return "no such file or folder" + ("; the path starts or ends with a blank or a new line" if blank else "")


def _shown(path: str | os.PathLike[str]) -> str:
    """Return a path for a message of one line."""
    return str(path).replace("\n", "\\n")
