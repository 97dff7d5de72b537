"""Damage files at random, like broken downloads, other programs or attackers; equal seeds give equal damage."""

from __future__ import annotations

import bz2
import functools
import gzip
import os
import pickle
import random
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

from damaged_values import CANARY, NotPossible, change_values, has_values

LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d7a" * 16 + b"\nsize 438011953\n"
HTML = (
    b"<!DOCTYPE html>\n<html><head><title>404</title></head>\n<body><h1>Not Found</h1>\n<p>&nbsp;</p></body></html>\n"
)
PACKED = {".gz": (gzip.compress, gzip.decompress), ".bz2": (bz2.compress, bz2.decompress)}
BOMB = 256 << 20
ATTEMPTS = 50

Bytes = Callable[[bytes, random.Random], bytes]
Files = Callable[[Path, random.Random], None]


class Hostile:
    """An object that creates a folder when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (CANARY,)


def damage(folder: Path, rng: random.Random, only_values: bool = False) -> list[str]:
    """Damage the files of a folder one to three times; return a description of each damage.

    With `only_values` the files keep their format and only values in them change.
    """
    done: list[str] = []
    wanted = rng.choices((1, 2, 3), (7, 2, 1))[0]
    for _ in range(ATTEMPTS):
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        if len(done) == wanted or not files:
            break
        file = rng.choice(files)
        kind = "values" if only_values or (has_values(file) and rng.random() < 0.5) else rng.choice(list(KINDS))
        try:
            details = KINDS[kind](file, rng)
        except NotPossible:
            continue
        done.append(f"{file.relative_to(folder)}: {kind}{f' ({details})' if details else ''}")
    return done


def _place(content: bytes, rng: random.Random) -> tuple[int, int]:
    """Return start and stop of a random part of the content; the beginning and the end are more likely."""
    around = rng.choice((0, rng.randrange(len(content) + 1), len(content)))
    start = max(0, min(len(content), around + rng.randint(-64, 64)))
    return start, min(len(content), start + rng.choice((1, 4, 8, 100, 1000)))


def _truncate(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.choice((rng.randrange(len(content) + 1), rng.randrange(min(len(content), 64) + 1), -1))]


def _flip(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 3, 30)) if content else 0):
        changed[_place(content[:-1], rng)[0]] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _overwrite(content: bytes, rng: random.Random) -> bytes:
    start, stop = _place(content, rng)
    return content[:start] + rng.choice((b"\0", b"\xff", b"9", b"\n", b"\x7f")) * (stop - start) + content[stop:]


def _insert(content: bytes, rng: random.Random) -> bytes:
    start, stop = _place(content, rng)
    return content[:start] + rng.choice((rng.randbytes(stop - start), b"\0", b"\n", b'"', b"\xe9")) + content[start:]


def _remove(content: bytes, rng: random.Random) -> bytes:
    start, stop = _place(content, rng)
    return content[:start] + content[stop:]


def _duplicate(content: bytes, rng: random.Random) -> bytes:
    start, stop = _place(content, rng)
    return content[:stop] + content[start:stop] + content[stop:]


def _digits(content: bytes, rng: random.Random) -> bytes:
    places = [place for place, byte in enumerate(content) if 48 <= byte < 58]
    if not places:
        raise NotPossible
    place = rng.choice(places)
    return content[:place] + rng.choice((b"-1", b"999999999999", b"1e400", b"NaN", b"")) + content[place + 1 :]


def _recode(content: bytes, rng: random.Random) -> bytes:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise NotPossible from None
    return rng.choice((
        text.encode("utf-16"), b"\xef\xbb\xbf" * 2 + content, text.replace("\n", "\r").encode(),
        text.replace("e", "\udce9").encode("utf-8", "surrogateescape"), text.replace("e", "\x1b[31m\0").encode(),
    ))  # fmt: skip


def _inside(content: bytes, rng: random.Random, suffix: str) -> bytes:
    pack, unpack = PACKED[suffix]
    try:
        plain = unpack(content)
    except (OSError, EOFError, ValueError, zlib.error):
        raise NotPossible from None
    return pack(rng.choice(list(BYTES.values()))(plain, rng))


BYTES: dict[str, Bytes] = {
    "truncated": _truncate,
    "bits flipped": _flip,
    "overwritten": _overwrite,
    "inserted": _insert,
    "removed": _remove,
    "duplicated": _duplicate,
    "a digit changed": _digits,
    "other encoding": _recode,
    "emptied": lambda content, rng: b"",
    "a Git LFS pointer": lambda content, rng: LFS_POINTER,
    "an HTML page": lambda content, rng: HTML,
    "a hostile pickle": lambda content, rng: pickle.dumps([Hostile()], rng.randrange(6)),
    "nested deeply": lambda content, rng: rng.choice((b"[", b'{"a":', b"<a>", b"((", b"- ")) * 20000,
    "compressed": lambda content, rng: rng.choice((gzip, bz2)).compress(content),
    "something else": lambda content, rng: _something(rng.choice(("parquet", "zip", "json", "random"))),
}


def _of_bytes(change: Bytes) -> Files:
    return lambda file, rng: file.write_bytes(change(file.read_bytes(), rng)) and None


@functools.cache
def _something(kind: str) -> bytes:
    """Return the content of a valid file of another kind than the damaged file."""
    import io
    import zipfile

    import pyarrow
    from pyarrow import parquet

    buffer = io.BytesIO()
    if kind == "parquet":
        parquet.write_table(pyarrow.table({"other": [1, 2]}), buffer)
    elif kind == "zip":
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("other.txt", "x")
    else:
        buffer.write(b'{"a": [1, {"b": null}]}' if kind == "json" else random.Random(0).randbytes(300))
    return buffer.getvalue()


@functools.cache
def _bomb(suffix: str) -> bytes:
    part = 1 << 22
    return PACKED[suffix][0](bytes(part)) * (BOMB // part)


def _within(file: Path, rng: random.Random) -> None:
    if file.suffix not in PACKED or file.read_bytes() == _bomb(file.suffix):
        raise NotPossible
    if rng.random() < 0.05:
        file.write_bytes(_bomb(file.suffix))
    else:
        file.write_bytes(_inside(file.read_bytes(), rng, file.suffix))


def _folder(file: Path, rng: random.Random) -> None:
    file.unlink()
    file.mkdir()
    if rng.random() < 0.5:
        (file / "inside").write_bytes(b"x")


def _missing(file: Path, rng: random.Random) -> None:
    file.unlink()
    if rng.random() < 0.3:
        file.symlink_to(rng.choice((file.name, "nowhere", "/")))


def _swapped(file: Path, rng: random.Random) -> None:
    other = rng.choice(sorted(path for path in file.parent.iterdir() if path.is_file()))
    if other == file:
        raise NotPossible
    shutil.copyfile(other, file)


KINDS: dict[str, Callable[[Path, random.Random], str | None]] = {
    **{name: _of_bytes(change) for name, change in BYTES.items()},
    "damaged inside": _within,
    "a folder instead": _folder,
    "missing": _missing,
    "another file's content": _swapped,
    "values": change_values,
}
