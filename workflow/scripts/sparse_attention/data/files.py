"""Opening the files of a corpus: compression by suffix, a progress bar, and one clear error for what is damaged."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sparse_attention.errors import InputError
from sparse_attention.scriptio import ProgressBar

COMPRESSION = (".bz2", ".gz")
KILOBYTE = 1000


def suffix_of(path: Path) -> str:
    """Return the suffix that tells the format, the one of compression taken off."""
    return Path(path.stem).suffix.lower() if path.suffix.lower() in COMPRESSION else path.suffix.lower()


class _Watched(io.FileIO):
    """A file that logs how far it has been read."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "rb")
        self.bar = ProgressBar(path.stat().st_size // KILOBYTE, f"reading {path.name} (kB)")

    def readinto(self, buffer: Any) -> int | None:
        count = super().readinto(buffer)
        self.bar.update(self.tell() // KILOBYTE)
        return count


@contextlib.contextmanager
def open_bytes(path: Path) -> Iterator[io.BufferedIOBase]:
    """Open a plain, `.bz2` or `.gz` file for reading; damage shows as `InputError` that names the file."""
    suffix = path.suffix.lower()
    try:
        with io.BufferedReader(_Watched(path), 1 << 18) as plain:
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
        raise


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a UTF-8 text, plain or compressed; an undecodable byte is an `InputError` with its place."""
    with open_bytes(path) as stream:
        for number, line in enumerate(stream, start=1):
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                byte = line[error.start]
                raise InputError(
                    f"{path}: line {number}, byte {error.start}: 0x{byte:02x} is not UTF-8; allowed: UTF-8 text"
                ) from None
