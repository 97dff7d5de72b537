"""Reads bundles: results of chosen stages with their checksums, as one zip file or as a folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from sparse_attention.data.registry import open_dataset
from sparse_attention.errors import InputError, damage_in, reason
from sparse_attention.files.atomic import atomic_path
from sparse_attention.files.plain import read_json

INDEX = "bundle.json"
MANIFEST = "results/provenance/manifest.json"
FORMAT = 1
ALLOWED = "a bundle, as `make archive` writes it"
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)
"""What reading a zip file raises that is damaged, encrypted, or compressed in an unknown way."""


@dataclass(frozen=True)
class Member:
    """A file in a bundle.

    Attributes
    ----------
    path : str
        Its path relative to the folder of the run, such as `results/tables/pareto.tsv`.
    size : int
        In bytes.
    sha256 : str
        As hexadecimal text.
    """

    path: str
    size: int
    sha256: str

    def __post_init__(self) -> None:
        """Refuse values of other types, which an index may hold."""
        for name, kind in (("path", str), ("size", int), ("sha256", str)):
            if not isinstance(getattr(self, name), kind):
                raise TypeError(f"{name} {getattr(self, name)!r} of a file")


class Bundle:
    """A bundle that is read.

    Parameters
    ----------
    place : Path
        The zip file, the folder, or a folder that holds the zip file.

    Attributes
    ----------
    config : dict
        The whole configuration of the archived run; absolute paths are cut to their last part.
    stages : list of str
        The stages that the bundle holds.
    data : list of dict
        The receipts of the data sets and models that the archived run started from.
    members : dict of str to Member
        The files by path.

    Raises
    ------
    InputError
        When there is no bundle, or it is damaged or of another format.
    """

    def __init__(self, place: Path) -> None:
        try:
            self.place = (
                chosen(place, [file for file in place.iterdir() if file.name[0] != "."]) if place.is_dir() else place
            )
        except OSError as error:
            raise InputError(f"{place}: cannot be read ({error.strerror}); allowed: {ALLOWED}") from None
        index = self._index()
        if index.get("format") != FORMAT:
            raise InputError(f"{place}: format {index.get('format')!r} is not allowed; allowed: {FORMAT}")
        with self.damage():
            self.config: dict[str, Any] = dict(index["config"])
            self.data: list[dict[str, Any]] = [dict(receipt) for receipt in index["data"]]
            self.stages: list[str] = list(map(str, index["stages"]))
            self.members = {record["path"]: Member(**record) for record in index["files"]}
            self.about = [Member(**record) for record in index.get("about", ())]

    def damage(self) -> contextlib.AbstractContextManager[None]:
        """Return a context in which content of another form than expected is an `InputError` that names the index."""
        return damage_in(f"{self.place}: {INDEX}", ALLOWED)

    def check(self, about: bool = False) -> None:
        """Raise `InputError` when a file of results is missing or differs from its checksum.

        Parameters
        ----------
        about : bool
            Check the files that describe the bundle as well.
        """
        for member in (*self.members.values(), *(self.about if about else ())):
            for _ in self._content(member.path, member.sha256):
                pass

    def read(self, path: str) -> bytes:
        """Return the content of a small file of the bundle, also of one that has no checksum."""
        return b"".join(self._content(path))

    def restore(self, path: str) -> None:
        """Write a file or folder of results as it was archived.

        Parameters
        ----------
        path : str
            Its path, which is also the place that it is written to.

        Raises
        ------
        InputError
            When the bundle does not hold it, or holds another content than its checksum says; nothing is written then.
        """
        with atomic_path(path) as partial:
            if path in self.members:
                self._copy(self.members[path], partial)
                return
            inside = [member for name, member in self.members.items() if name.startswith(f"{path}/")]
            if not inside:
                raise self.without(path)
            for member in inside:
                relative = PurePosixPath(member.path).relative_to(path)
                if ".." in relative.parts:
                    raise InputError(
                        f"{self.place}: the name {member.path!r} is not allowed; allowed: names without .."
                    )
                target = partial / relative
                target.parent.mkdir(parents=True, exist_ok=True)
                self._copy(member, target)

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest of the archived run; empty in a bundle without one."""
        if MANIFEST not in self.members:
            return {}
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "manifest.json"
            self._copy(self.members[MANIFEST], target)
            return read_json(target, f"{MANIFEST} as it was archived")

    def without(self, path: str) -> InputError:
        """Return the error that the bundle lacks a file."""
        return InputError(
            f"{self.place}: holds no {path}, only files of the stages {', '.join(self.stages)}; allowed: the "
            "configuration of the archived run, and a bundle with the stage that start_from.stage names"
        )

    def _index(self) -> dict[str, Any]:
        if self.place.is_dir():
            return read_json(self.place / INDEX, ALLOWED)
        try:
            with zipfile.ZipFile(self.place) as archive, archive.open(INDEX) as stream:
                content = json.load(stream)
        except (OSError, KeyError, ValueError, *_UNREADABLE) as error:
            raise InputError(f"{self.place}: not a bundle ({reason(error)}); allowed: {ALLOWED}") from None
        if not isinstance(content, dict):
            raise InputError(f"{self.place}: {INDEX} holds no JSON object; allowed: {ALLOWED}")
        return content

    def _copy(self, member: Member, target: Path) -> None:
        with open(target, "wb") as copy:
            copy.writelines(self._content(member.path, member.sha256))

    def _content(self, path: str, expected: str | None = None) -> Iterator[bytes]:
        """Yield the content of a file in parts; at the end, raise `InputError` if it has another checksum."""
        digest = hashlib.sha256()
        try:
            with self._opened(path) as stream:
                while part := stream.read(1 << 20):
                    digest.update(part)
                    yield part
        except (KeyError, FileNotFoundError):
            raise InputError(f"{self.place}: {path} is missing; allowed: the files that {INDEX} lists") from None
        except (OSError, *_UNREADABLE) as error:
            raise InputError(f"{self.place}: {path} is damaged ({reason(error)}); fetch it again") from None
        if expected not in (None, digest.hexdigest()):
            text = f"{path} has the wrong checksum: expected sha256 {expected}, found {digest.hexdigest()}"
            raise InputError(f"{self.place}: {text}; fetch it again")

    @contextlib.contextmanager
    def _opened(self, path: str) -> Iterator[IO[bytes]]:
        if self.place.is_dir():
            with open(self.place / path, "rb") as file:
                yield file
        else:
            with zipfile.ZipFile(self.place) as archive, archive.open(path) as stream:
                yield stream


def open_retrieved(receipt: str) -> Bundle:
    """Return the bundle that a receipt of the rule `retrieve` leads to.

    The bundle checks each file that is taken from it, so it is not checked as a whole.
    """
    dataset = open_dataset(receipt, verify=False)
    # of a single file the name does not matter: it need not end with .zip
    return Bundle(dataset.files[0] if len(dataset.files) == 1 else chosen(dataset.root, dataset.files))


def chosen(folder: Path, files: Iterable[Path]) -> Path:
    """Return which of the files in a folder is the bundle, or the folder if it holds an index.

    Raises
    ------
    InputError
        When there is neither an index nor just one zip file.
    """
    here = sorted(file for file in files if file.parent == folder)
    if folder / INDEX in here:
        return folder
    zipped = [file for file in here if zipfile.is_zipfile(file)]
    if len(zipped) != 1:
        found = f"zip files: {', '.join(file.name for file in zipped)}" if zipped else f"neither {INDEX} nor a zip file"
        raise InputError(f"{folder}: holds {found}; allowed: {ALLOWED}, or the path of one zip file")
    return zipped[0]
