"""The base class of readers of text corpora."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sparse_attention.data.documents import Document, Reading
from sparse_attention.data.reader import Reader


@dataclass(frozen=True)
class TextReader(Reader):
    """Reads documents from files of one format.

    The registry finds each subclass in this folder that sets `name` to a literal.
    """

    def read(self, files: list[Path], reading: Reading) -> Iterator[Document]:
        """Yield the documents of all files, in a fixed order; memory must not grow with a file.

        Parameters
        ----------
        files : list of Path
        reading : Reading
            Counts the documents that the reader leaves out or mends. It leaves out short and repeated documents itself.

        Raises
        ------
        InputError
            When something cannot be read, with the file and the place in it.
        """
        raise NotImplementedError


def names_of(files: list[Path]) -> list[str]:
    """Return each file's path below the folder that all files share, so that ids do not depend on that folder."""
    parents = [set(file.parents) for file in files]
    common = max(set.intersection(*parents), key=lambda folder: len(folder.parts), default=Path()) if files else Path()
    return [file.relative_to(common).as_posix() for file in files]
