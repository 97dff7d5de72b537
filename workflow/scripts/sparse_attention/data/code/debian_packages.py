"""Debian source packages: the C files of their two tarballs, unpacked safely, and what their patches do to them."""

from __future__ import annotations

import errno
import lzma
import os
import re
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sparse_attention.data.files import some_of
from sparse_attention.errors import InputError

ORIGINAL = re.compile(r"(?P<name>[^_]+)_(?P<version>[^_]+?)\.orig(?:-(?P<component>[\w-]+))?\.tar\.\w+")
PACKAGING = re.compile(r"(?P<name>[^_]+)_(?P<version>[^_]+)-[^_-]+\.debian\.tar\.\w+")
C_FILES = (".c", ".h")
# where a patch begins with another file: a header of git's, that of a plain diff, or one after the other
FILE = re.compile(
    rb"^(?:diff --git .*\n(?:[a-z].*\n)*(?:--- .*\n\+\+\+ .*\n)?|--- .*\n\+\+\+ .*\n(?=@@ ))", re.MULTILINE
)
# of lines such as `--- a/path` with a time behind it, and `rename from path`
PATH = re.compile(rb"^(?:(?:---|\+\+\+) [^/\s]+/|rename (?:from|to) )([^\t\r\n]+?\.[ch])(?:[ \t\r].*)?$", re.MULTILINE)
ALLOWED = "NAME_VERSION.orig.tar.* with NAME_VERSION-REVISION.debian.tar.*"


@dataclass
class Package:
    """A source package: the original tarballs by component ("" is the program itself) and the tarball of patches."""

    name: str
    version: str
    originals: dict[str, Path]
    packaging: Path


@dataclass(frozen=True)
class Patch:
    """What a patch does to C files.

    Attributes
    ----------
    name : str
        As the series has it.
    header : str
        The text above the first change.
    paths : tuple of str
        The C files that it changes, sorted.
    changes : bytes or None
        The parts about these files; None when there is no such patch.
    """

    name: str
    header: str
    paths: tuple[str, ...]
    changes: bytes | None

    @classmethod
    def of(cls, name: str, file: Path) -> Patch:
        """Read a patch."""
        if not file.is_file():
            return cls(name, "", (), None)
        content = file.read_bytes()
        starts = list(FILE.finditer(content))
        ends = [*(start.start() for start in starts[1:]), len(content)][: len(starts)]
        header = content[: starts[0].start()] if starts else content
        paths: set[str] = set()
        changes = b""
        for start, end in zip(starts, ends, strict=True):
            found = PATH.findall(start.group())
            if found:
                paths.update(path.decode("utf-8", "replace") for path in found)
                changes += content[start.start() : end]
        return cls(name, header.decode("utf-8", "replace"), tuple(sorted(paths)), changes)


@dataclass(frozen=True)
class Source:
    """An unpacked package: a folder with the original C files, and the patches in the order of the series."""

    root: Path
    patches: list[Patch]

    def read(self, path: str) -> bytes | None:
        """Return a file of the package; None when there is none, or it lies outside."""
        file = (self.root / path).resolve()
        return file.read_bytes() if file.is_relative_to(self.root.resolve()) and file.is_file() else None

    def apply(self, patch: Patch) -> bool:
        """Apply a patch to all its C files, every line of context equal; else change nothing and return False.

        Raises
        ------
        InputError
            When this machine has no git.
        """
        if not patch.changes:
            return patch.changes is not None
        git = shutil.which("git")
        if git is None:
            raise InputError("git is not on this machine: format debian applies patches with `git apply`; install git")
        # neither a repository around the folder nor the user's settings have a say
        others = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        environment = others | {"GIT_DIR": os.devnull, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        command = [git, "apply", "-p1", "--unidiff-zero", "--whitespace=nowarn", "-"]
        ran = subprocess.run(
            command, input=patch.changes, cwd=self.root, env=environment, capture_output=True, check=False
        )
        return ran.returncode == 0


def packages_of(paths: Iterable[Path]) -> list[Package]:
    """Return the packages that tarballs make up, in the order in which their names come first.

    Raises
    ------
    InputError
        When a file is not one of a source package, or a package lacks one of its two kinds of tarballs or has two.
    """
    found: dict[tuple[str, str], tuple[dict[str, Path], list[Path]]] = {}
    for path in paths:
        original, packaging = ORIGINAL.fullmatch(path.name), PACKAGING.fullmatch(path.name)
        parts = original or packaging
        if parts is None:
            raise InputError(f"{path}: not a tarball of a Debian source package; allowed: {ALLOWED}")
        originals, packagings = found.setdefault((parts["name"], parts["version"]), ({}, []))
        if original:
            originals[original["component"] or ""] = path
        else:
            packagings.append(path)
    for (name, version), (originals, packagings) in found.items():
        if "" not in originals or len(packagings) != 1:
            files = some_of((*originals.values(), *packagings))
            raise InputError(f"{name} {version}: there is only {files}; allowed: {ALLOWED}, one of each")
    return [Package(*key, originals, packagings[0]) for key, (originals, packagings) in found.items()]


def unpacked(package: Package, folder: Path) -> Source:
    """Unpack a package into an empty folder; see `unpack` for what is raised."""
    root = unpack(package.originals[""], folder / "original", C_FILES)
    for component, archive in package.originals.items():
        if component:
            shutil.rmtree(root / component, ignore_errors=True)
            unpack(archive, folder / f"component-{component}", C_FILES).rename(root / component)
    unpack(package.packaging, folder / "packaging")
    patches = folder / "packaging" / "debian" / "patches"
    return Source(root, [Patch.of(name, patches / name) for name in _series(patches / "series")])


def unpack(archive: Path, folder: Path, suffixes: tuple[str, ...] = ("",)) -> Path:
    """Unpack the plain files with one of the suffixes into a new folder; return it, or the one folder that all lie in.

    Links and special files are left out: no source code is in them.

    Raises
    ------
    InputError
        When the archive is damaged, or a file in it would land outside the folder.
    """
    folder.mkdir()
    outermost: set[str] = set()
    try:
        with tarfile.open(archive) as members:
            # no `filter="data"`: the Python of Debian 12 lacks it; without links only a name can lead outside
            for member in members:
                name = _inside(archive, member.name)
                outermost.add(name.parts[0] if name.parts else ".")
                content = members.extractfile(member) if member.isfile() and name.name.endswith(suffixes) else None
                if content is not None:
                    target = folder / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with content, open(target, "wb") as file:
                        shutil.copyfileobj(content, file)
    except (tarfile.TarError, OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise
        raise InputError(f"{archive}: not a readable tar archive: {' '.join(str(error).split())}") from None
    only = folder / next(iter(outermost - {"."}), ".")
    return only if len(outermost - {"."}) == 1 and only.is_dir() else folder


def _inside(archive: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise InputError(f"{archive}: unsafe: {name} would land outside of its folder")
    return path


def _series(file: Path) -> list[str]:
    """Return the patches that a series names, without comments and options; none when the package has no series."""
    if not file.is_file():
        return []
    lines = (
        line.split("#", 1)[0].split() for line in file.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    )
    return [words[0] for words in lines if words]
