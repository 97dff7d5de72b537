"""Debian source packages: safe unpacking of the C files in their tarballs, and their patches."""

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
# the start of a patch's part about one file: a header of git, that of a plain diff, or both in this order
FILE = re.compile(
    rb"^(?:diff --git .*\n(?:[a-z].*\n)*(?:--- .*\n\+\+\+ .*\n)?|--- .*\n\+\+\+ .*\n(?=@@ ))", re.MULTILINE
)
# the path in lines such as `--- a/path`, which a time may follow, and `rename from path`
PATH = re.compile(rb"^(?:(?:---|\+\+\+) [^/\s]+/|rename (?:from|to) )([^\t\r\n]+?\.[ch])(?:[ \t\r].*)?$", re.MULTILINE)
ALLOWED = "NAME_VERSION.orig.tar.* with NAME_VERSION-REVISION.debian.tar.*"


@dataclass
class Package:
    """A source package: original tarballs by component, with "" for the program itself, and the tarball of patches."""

    name: str
    version: str
    originals: dict[str, Path]
    packaging: Path


@dataclass(frozen=True)
class Patch:
    """The changes of a patch to C files.

    Attributes
    ----------
    name : str
        Its name in the series file.
    header : str
        The text before the first change.
    paths : tuple of str
        The C files that it changes, sorted.
    changes : bytes or None
        Its parts that change these files; None when the series names a patch that does not exist.
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
        """Return the content of a file; None when there is no such file or its path leads out of the package."""
        file = (self.root / path).resolve()
        return file.read_bytes() if file.is_relative_to(self.root.resolve()) and file.is_file() else None

    def apply(self, patch: Patch) -> bool:
        """Apply a patch to all its C files and return True, or change nothing and return False when it does not fit.

        Raises
        ------
        InputError
            When git is not installed.
        """
        if not patch.changes:
            return patch.changes is not None
        git = shutil.which("git")
        if git is None:
            raise InputError("git is not installed: the format debian applies patches with `git apply`; install git")
        # a repository around the folder and the user's settings must not change the result
        others = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        environment = others | {"GIT_DIR": os.devnull, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        command = [git, "apply", "-p1", "--unidiff-zero", "--whitespace=nowarn", "-"]
        ran = subprocess.run(
            command, input=patch.changes, cwd=self.root, env=environment, capture_output=True, check=False
        )
        return ran.returncode == 0


def packages_of(paths: Iterable[Path]) -> list[Package]:
    """Return the packages that the tarballs belong to, in the order of their first tarballs.

    Raises
    ------
    InputError
        When a file does not belong to a source package, or a package has not exactly one tarball of each kind.
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
            raise InputError(f"{name} {version}: has {files}; allowed: {ALLOWED}, one of each")
    return [Package(*key, originals, packagings[0]) for key, (originals, packagings) in found.items()]


def unpacked(package: Package, folder: Path) -> Source:
    """Unpack a package into an empty folder; it raises the errors of `unpack`."""
    root = unpack(package.originals[""], folder / "original", C_FILES)
    for component, archive in package.originals.items():
        if component:
            shutil.rmtree(root / component, ignore_errors=True)
            unpack(archive, folder / f"component-{component}", C_FILES).rename(root / component)
    unpack(package.packaging, folder / "packaging")
    patches = folder / "packaging" / "debian" / "patches"
    return Source(root, [Patch.of(name, patches / name) for name in _series(patches / "series")])


def unpack(archive: Path, folder: Path, suffixes: tuple[str, ...] = ("",)) -> Path:
    """Unpack plain files with one of the suffixes into a new folder; return that, or its only folder if it has one.

    Links and special files are left out, because they contain no source code.

    Parameters
    ----------
    archive : Path
        The tar archive.
    folder : Path
        The folder to create.
    suffixes : tuple of str
        Suffixes of the files to unpack; by default all files.

    Raises
    ------
    InputError
        When the archive is damaged, or a file in it would land outside the folder.
    """
    folder.mkdir()
    outermost: set[str] = set()
    try:
        with tarfile.open(archive) as members:
            # not `filter="data"`, which the Python of Debian 12 lacks; without links only a name can lead outside
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
    """Return the names of patches in a series file without comments and options; empty when there is no such file."""
    if not file.is_file():
        return []
    lines = (
        line.split("#", 1)[0].split() for line in file.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    )
    return [words[0] for words in lines if words]
