"""Reads and writes bundles: results of chosen stages with their checksums, as one zip file or as a folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from sparse_attention.data.registry import open_dataset
from sparse_attention.errors import InputError, reason
from sparse_attention.files.atomic import atomic_path
from sparse_attention.files.plain import read_json

INDEX = "bundle.json"
MANIFEST = "results/provenance/manifest.json"
FORMAT = 1
ALLOWED = "a bundle, as `make archive` writes it"
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of each file in a zip file, so that the same results give the same bytes."""


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


def member_of(path: str, content: bytes) -> Member:
    """Return the entry of a file with a certain content."""
    return Member(path, len(content), hashlib.sha256(content).hexdigest())


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
        zipped = sorted(place.glob("*.zip")) if not (place / INDEX).exists() else []
        self.place = zipped[0] if len(zipped) == 1 else place
        index = self._index()
        if index.get("format") != FORMAT:
            raise InputError(f"{place}: format {index.get('format')!r} is not allowed; allowed: {FORMAT}")
        try:
            self.config: dict[str, Any] = dict(index["config"])
            self.data: list[dict[str, Any]] = [dict(receipt) for receipt in index["data"]]
            self.stages: list[str] = list(map(str, index["stages"]))
            found = [Member(**record) for record in index["files"]]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{place}: {INDEX} is damaged ({reason(error)}); allowed: {ALLOWED}") from None
        self.members = {member.path: member for member in found}

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
        except (OSError, KeyError, ValueError, RecursionError, zipfile.BadZipFile, NotImplementedError) as error:
            raise InputError(f"{self.place}: not a bundle ({reason(error)}); allowed: {ALLOWED}") from None
        if not isinstance(content, dict):
            raise InputError(f"{self.place}: {INDEX} holds no JSON object; allowed: {ALLOWED}")
        return content

    def _copy(self, member: Member, target: Path) -> None:
        digest = hashlib.sha256()
        try:
            with self._opened(member.path) as stream, open(target, "wb") as copy:
                while chunk := stream.read(1 << 20):
                    digest.update(chunk)
                    copy.write(chunk)
        except (KeyError, FileNotFoundError):
            raise InputError(f"{self.place}: {member.path} is missing; allowed: the files that {INDEX} lists") from None
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise InputError(f"{self.place}: {member.path} is damaged ({reason(error)}); fetch it again") from None
        if digest.hexdigest() != member.sha256:
            text = f"{member.path} has the wrong checksum: expected sha256 {member.sha256}, found {digest.hexdigest()}"
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
    zipped = [file for file in dataset.files if file.suffix == ".zip"]
    return Bundle(zipped[0] if len(zipped) == 1 else dataset.root)


def index_of(
    config: Mapping[str, Any],
    stages: Sequence[str],
    members: Iterable[Member],
    data: Sequence[Mapping[str, Any]],
    about: Iterable[Member] = (),
) -> str:
    """Return the text of a bundle's index.

    Parameters
    ----------
    config : mapping
        The whole configuration of the run, without absolute paths.
    stages : sequence of str
        The stages that the bundle holds.
    members : iterable of Member
        The files of results.
    data : sequence of mapping
        The receipts of the data sets and models that the run started from.
    about : iterable of Member
        The files that describe the bundle. Their key is their own, because no run takes them.
    """
    files, beside = ([vars(member) for member in sorted(of, key=lambda one: one.path)] for of in (members, about))
    content = {"format": FORMAT, "stages": list(stages), "config": config, "data": list(data), "files": files}
    content["about"] = beside
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def write(target: Path, files: Mapping[str, Path], texts: Mapping[str, str]) -> None:
    """Write a bundle, a zip file if `target` ends with `.zip`, else a folder; the same files give the same bytes.

    Parameters
    ----------
    target : Path
        Replaced if it exists; never half written.
    files : mapping of str to Path
        Where each file is found, by its path in the bundle.
    texts : mapping of str to str
        The contents of further files.
    """
    with atomic_path(target) as partial:
        if target.suffix != ".zip":
            for name, source in files.items():
                (partial / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, partial / name)
            for name, text in texts.items():
                (partial / name).write_text(text, encoding="utf-8")
            return
        with zipfile.ZipFile(partial, "w") as archive:
            for name in sorted({*files, *texts}):
                entry = zipfile.ZipInfo(name, EPOCH)
                entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                if name in texts:
                    archive.writestr(entry, texts[name].encode())
                    continue
                with open(files[name], "rb") as source_file, archive.open(entry, "w", force_zip64=True) as stream:
                    shutil.copyfileobj(source_file, stream, 1 << 20)
