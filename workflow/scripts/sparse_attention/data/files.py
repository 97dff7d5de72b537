"""Opens files of a corpus, compressed or not, with a progress bar and clear errors for damaged files."""

from __future__ import annotations

import bz2
import codecs
import contextlib
import gzip
import io
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from sparse_attention.errors import InputError
from sparse_attention.files.plain import LFS_POINTER, refuse_pointer
from sparse_attention.jobs.progress import ProgressBar

COMPRESSION = (".bz2", ".gz")
ESCAPED_ZERO = 0xDC00  # the error handler `surrogateescape` adds this to an undecodable byte
ESCAPED = re.compile("[\udc80-\udcff]")
FILES_SHOWN = 5
KILOBYTE = 1000


def suffix_of(path: Path) -> str:
    """Return a file's suffix in lower case, without that of a compression: `.txt` for `a.TXT.gz`."""
    return Path(path.stem).suffix.lower() if path.suffix.lower() in COMPRESSION else path.suffix.lower()


def some_of(files: Iterable[Path]) -> str:
    """Return the names of files for a message: the first few, and how many more there are."""
    names = [str(file) for file in files]
    more = f" and {len(names) - FILES_SHOWN} more" if len(names) > FILES_SHOWN else ""
    return ", ".join(names[:FILES_SHOWN]) + more


class _LoggedFile(io.FileIO):
    """A file that logs a progress bar while it is read."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "rb")
        self.bar = ProgressBar(path.stat().st_size // KILOBYTE, f"reading {path.name} (kB)")

    def readinto(self, buffer: Any) -> int | None:
        count = super().readinto(buffer)
        self.bar.update(self.tell() // KILOBYTE)
        return count


@contextlib.contextmanager
def open_bytes(path: Path) -> Iterator[bz2.BZ2File | gzip.GzipFile | io.BufferedReader[_LoggedFile]]:
    """Open a plain, `.bz2` or `.gz` file for reading; raise `InputError` when it is missing or damaged."""
    suffix = path.suffix.lower()
    try:
        with io.BufferedReader(_LoggedFile(path), 1 << 18) as plain:
            refuse_pointer(path, plain.peek(len(LFS_POINTER)))
            if suffix == ".bz2":
                yield bz2.BZ2File(plain)
            elif suffix == ".gz":
                yield gzip.GzipFile(fileobj=plain)
            else:
                yield plain
    except (FileNotFoundError, IsADirectoryError):
        raise InputError(f"{path}: no such file") from None
    except EOFError:
        raise InputError(f"{path}: truncated: the compressed stream ends too early; get the file again") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path}: not a readable .gz file: {error}") from None
    except OSError as error:
        # bz2 reports damage as an OSError without a number
        if error.errno is None:
            raise InputError(f"{path}: not a readable {suffix} file: {error}") from None
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


@contextlib.contextmanager
def open_text(path: Path, newline: str | None = None) -> Iterator[TextIO]:
    """Open a UTF-8 text file, plain or compressed, with or without a byte order mark.

    Bytes that are not UTF-8 become surrogates, as the error handler `surrogateescape` makes them.

    Parameters
    ----------
    path : Path
    newline : str, optional
        As in `open`: None turns every kind of line end into a newline.

    Raises
    ------
    InputError
        When the file is missing or damaged, or is UTF-16 or UTF-32.
    """
    with open_bytes(path) as stream:
        beginning = stream.peek(2)[:2]
        if beginning in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            raise InputError(f"{path}: is UTF-16 or UTF-32; allowed: UTF-8 text")
        with io.TextIOWrapper(stream, "utf-8-sig", "surrogateescape", newline) as text:
            yield text


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a UTF-8 text file, plain or compressed; raise `InputError` at a byte that is not UTF-8."""
    with open_text(path) as stream:
        for number, line in enumerate(stream, start=1):
            if not line.isascii() and (found := ESCAPED.search(line)):
                before, byte = line[: found.start()].encode("utf-8"), ord(found[0]) - ESCAPED_ZERO
                raise InputError(
                    f"{path}: line {number}, byte {len(before)}: 0x{byte:02x} is not UTF-8; allowed: UTF-8 text"
                )
            yield line
