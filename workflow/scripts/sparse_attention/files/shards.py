"""Writes and reads safetensors files a few rows at a time, so that memory never holds a whole tensor."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from sparse_attention.errors import InputError
from sparse_attention.files.plain import require_file
from sparse_attention.files.room import require_room

Shape = tuple[int | None, ...]
DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
CODES = {dtype: code for code, dtype in DTYPES.items()}
LONGEST_SIZE = 2**62


class ShardWriter:
    """Writes tensors of known shapes to one safetensors file, rows in any order.

    The header is written last, so a file that was not closed cannot be read as safetensors.

    Attributes
    ----------
    size : int
        Bytes of the whole file, without the rows of a tensor that grows.

    Parameters
    ----------
    path : path-like
        File to create.
    layout : mapping of str to (torch.dtype, shape)
        The tensors in file order. The first dimension of the last tensor may be None: it grows as rows are written.
        A tensor must start at a multiple of its item size.
    """

    def __init__(self, path: str | os.PathLike[str], layout: Mapping[str, tuple[torch.dtype, Shape]]) -> None:
        self.path = Path(path)
        self._layout = dict(layout)
        self._rows = {name: shape[0] or 0 for name, (_, shape) in self._layout.items()}
        self._row_bytes = {
            name: dtype.itemsize * math.prod(extent or 0 for extent in shape[1:])
            for name, (dtype, shape) in layout.items()
        }
        longest = self._header({name: shape[0] or LONGEST_SIZE for name, (_, shape) in layout.items()})
        self._header_bytes = -(-len(longest) // 8) * 8
        self._starts, start = {}, 8 + self._header_bytes
        for name, rows in self._rows.items():
            self._starts[name] = start
            start += rows * self._row_bytes[name]
        self.size = start
        self._file = self.path.open("wb")
        self._file.truncate(start)

    def write(self, name: str, row: int, tensor: Tensor) -> None:
        """Write rows to the tensor `name`.

        Parameters
        ----------
        name : str
        row : int
            Index of the first row to write.
        tensor : Tensor
            ``(rows, ...)``, with the dtype and the further dimensions of the layout.

        Raises
        ------
        ValueError
            When dtype, shape or rows do not fit the layout.
        """
        dtype, shape = self._layout[name]
        if tensor.dtype != dtype or tuple(tensor.shape[1:]) != shape[1:]:
            got = f"{tuple(tensor.shape)} {tensor.dtype}"
            raise ValueError(f"{self.path}: {name} takes rows of {shape[1:]} {dtype}, got {got}")
        stop = row + len(tensor)
        if shape[0] is None:
            self._rows[name] = max(self._rows[name], stop)
        elif not 0 <= row <= stop <= self._rows[name]:
            raise ValueError(f"{self.path}: rows {row} to {stop} are outside {name}, which has {self._rows[name]}")
        if tensor.numel():
            self._file.seek(self._starts[name] + row * self._row_bytes[name])
            self._file.write(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)

    def close(self) -> None:
        """Write the header and close the file."""
        self._file.seek(0)
        self._file.write(self._header_bytes.to_bytes(8, "little"))
        self._file.write(self._header(self._rows).ljust(self._header_bytes))
        self._file.close()

    def abandon(self) -> None:
        """Close the file without a header."""
        self._file.close()

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        self.abandon() if kind else self.close()

    def _header(self, rows: Mapping[str, int]) -> bytes:
        header, start = {}, 0
        for name, (dtype, shape) in self._layout.items():
            stop = start + rows[name] * self._row_bytes[name]
            header[name] = {"dtype": CODES[dtype], "shape": [rows[name], *shape[1:]], "data_offsets": [start, stop]}
            start = stop
        return json.dumps(header, separators=(",", ":")).encode()


class StoreWriter:
    """Writes several shards together; if the block of the `with` statement fails, no readable shard is left."""

    _shards: list[ShardWriter]

    def require_room(self, remedy: str) -> None:
        """Close all files and raise `InputError`, with a remedy, when the disk is too small for the shards."""
        try:
            require_room(self._shards[0].path.parent, sum(shard.size for shard in self._shards), remedy)
        except InputError:
            self.abandon()
            raise

    def close(self) -> None:
        """Close all shards; subclasses then write the sidecar."""
        for shard in self._shards:
            shard.close()

    def abandon(self) -> None:
        """Close all files without their headers, so that they cannot be read."""
        for shard in self._shards:
            shard.abandon()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        self.abandon() if kind else self.close()


class ShardReader:
    """Reads rows of the tensors in a safetensors file without mapping the file into memory.

    The slices of the library safetensors map the file. All pages that were read then stay in memory, in the end the
    whole shard, and if the file is truncated while it is mapped, the process dies without a message.

    Raises
    ------
    InputError
        When the file is missing, is not safetensors, or is shorter or longer than its header says.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = require_file(path)
        self.tensors: dict[str, tuple[torch.dtype, tuple[int, ...]]] = {}
        self._starts: dict[str, int] = {}
        try:
            self._read_header()
        except InputError:
            raise
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise InputError(f"{self.path}: not a safetensors file, or its header is damaged") from None

    def expect(self, layout: Mapping[str, tuple[torch.dtype, tuple[int, ...]]]) -> None:
        """Raise `InputError` unless the file holds exactly the tensors in `layout`."""
        if self.tensors != dict(layout):
            raise InputError(f"{self.path}: holds {_describe(self.tensors)}; expected {_describe(layout)}")

    def read(self, name: str, start: int, stop: int) -> Tensor:
        """Return rows `start` to `stop`, without `stop`, of the tensor `name`: ``(stop - start, ...)``.

        Raises
        ------
        ValueError
            When the tensor does not have these rows.
        InputError
            When the file has become shorter since it was opened.
        """
        dtype, shape = self.tensors[name]
        if not 0 <= start <= stop <= shape[0]:
            raise ValueError(f"{self.path}: rows {start} to {stop} are outside {name} of shape {shape}")
        row_bytes = dtype.itemsize * math.prod(shape[1:])
        buffer = bytearray((stop - start) * row_bytes)
        if not buffer:
            return torch.empty(stop - start, *shape[1:], dtype=dtype)
        with self.path.open("rb") as stream:
            stream.seek(self._starts[name] + start * row_bytes)
            if stream.readinto(buffer) != len(buffer):
                raise InputError(f"{self.path}: the file was cut short while it was read")
        return torch.frombuffer(buffer, dtype=dtype).reshape(stop - start, *shape[1:])

    def _read_header(self) -> None:
        size = self.path.stat().st_size
        with self.path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if size < 8 or length > size - 8:
                raise InputError(f"{self.path}: {size} bytes are too few: the file is truncated or not safetensors")
            header = json.loads(stream.read(length))
        end = 0
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            dtype, shape = DTYPES[entry["dtype"]], tuple(entry["shape"])
            start, stop = entry["data_offsets"]
            if any(type(number) is not int for number in (*shape, start, stop)):
                raise TypeError
            if min(shape, default=0) < 0 or not shape or start < 0 or stop - start != dtype.itemsize * math.prod(shape):
                raise ValueError
            self.tensors[name] = dtype, shape
            self._starts[name] = 8 + length + start
            end = max(end, 8 + length + stop)
        if size != end:
            raise InputError(f"{self.path}: has {size} bytes, its header says {end}: the file is truncated or damaged")


def _describe(layout: Mapping[str, tuple[torch.dtype, tuple[int, ...]]]) -> str:
    return ", ".join(f"{name} {shape} {str(dtype).removeprefix('torch.')}" for name, (dtype, shape) in layout.items())
