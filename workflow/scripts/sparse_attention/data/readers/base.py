"""What every reader of a text corpus is: a class with a few literals that yields documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from sparse_attention.data.documents import Document, Reading


class TextReader:
    """Reads one format; a subclass with a literal `name` in this folder is found by the registry.

    Attributes
    ----------
    name : str
        The `format` in the configuration.
    options : dict
        JSON schema of each key that an entry of `corpora` may have for this reader.
    suffixes : tuple of str
        Of the files that it reads, in small letters; that of compression, which `data.files` takes off, is not named.
    """

    name: ClassVar[str]
    options: ClassVar[dict[str, Any]] = {}
    suffixes: ClassVar[tuple[str, ...]]

    def read(self, files: list[Path], reading: Reading, options: Mapping[str, Any]) -> Iterator[Document]:
        """Yield the documents of all files, in a fixed order; memory must not grow with a file.

        Parameters
        ----------
        files : list of Path
        reading : Reading
            Counts what is left out or mended. It leaves out what is short or repeats by itself.
        options : mapping
            The corpus's entry in the configuration.

        Raises
        ------
        InputError
            With the file and the place, when something cannot be read.
        """
        raise NotImplementedError


def names_of(files: list[Path]) -> list[str]:
    """Return each file's path below the folder that all share, so that ids do not depend on where that folder lies."""
    parents = [set(file.parents) for file in files]
    common = max(set.intersection(*parents), key=lambda folder: len(folder.parts), default=Path()) if files else Path()
    return [file.relative_to(common).as_posix() for file in files]
