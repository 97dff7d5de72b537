"""Reads plain files of text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sparse_attention.data.documents import Document, Reading
from sparse_attention.data.files import read_lines
from sparse_attention.data.readers.base import TextReader, names_of

SEPARATOR = "---"


class Text(TextReader):
    """Reads each UTF-8 text file, plain or compressed, as one document.

    A file with lines that contain only `---` is cut there into several documents. The id of a document is the file's
    path below the folder that all files share, followed by `#number` when the file is cut.
    """

    name = "text"
    suffixes = (".txt", ".text", ".md")

    def read(self, files: list[Path], reading: Reading) -> Iterator[Document]:
        """Yield the documents of all files."""
        for file, name in zip(files, names_of(files), strict=True):
            parts: list[list[str]] = [[]]
            for line in read_lines(file):
                if line.strip() == SEPARATOR:
                    parts.append([])
                else:
                    parts[-1].append(line.rstrip())
            for number, lines in enumerate(parts, start=1):
                body = "\n".join(lines).strip()
                if len(parts) == 1 or body:
                    yield Document(name if len(parts) == 1 else f"{name}#{number}", Path(name).stem, body)
