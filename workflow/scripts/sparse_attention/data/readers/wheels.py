"""Reads the Python modules in wheels, as text without labels."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sparse_attention.data.documents import Document, Reading
from sparse_attention.data.readers.base import TextReader
from sparse_attention.errors import InputError
from sparse_attention.jobs.progress import progress


@dataclass(frozen=True)
class Wheels(TextReader):
    """Reads each module of a package wheel as one document, whose id is the module's path in the wheel.

    Attributes
    ----------
    left_out : sequence of str
        Projects whose wheels are not read, such as those that a classifier is tested on; as in the names of wheels,
        in lower case and with ``-`` between words.
    """

    name = "wheels"
    options = {"left_out": {"type": "array", "items": {"type": "string", "minLength": 1}, "uniqueItems": True}}
    suffixes = (".whl",)

    left_out: Sequence[str] = ()

    def read(self, files: list[Path], reading: Reading) -> Iterator[Document]:
        """Yield the modules of each wheel in the order of their paths.

        Raises
        ------
        InputError
            When a file is no wheel, or `left_out` names a project without one.
        """
        projects = {file: file.name.split("-")[0].replace("_", "-").lower() for file in files}
        unknown = sorted(set(self.left_out) - set(projects.values()))
        if unknown:
            allowed = ", ".join(sorted(set(projects.values())))
            raise InputError(f"left_out: {unknown[0]!r} has no wheel in {files[0].parent}; allowed: {allowed}")
        chosen = [file for file in files if projects[file] not in self.left_out]
        for wheel in progress(chosen, len(chosen), "reading wheels"):
            for name, content in _modules(wheel):
                try:
                    yield Document(name, Path(name).stem, content.decode("utf-8-sig").strip())
                except UnicodeDecodeError:
                    reading.drop("that are not UTF-8")


def _modules(wheel: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the path and the content of each module; raise `InputError` when the wheel cannot be read."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name in sorted(set(archive.namelist())):
                if name.endswith(".py"):
                    yield name, archive.read(name)
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, MemoryError) as error:
        raise InputError(f"{wheel}: is not a readable wheel: {error}") from None
