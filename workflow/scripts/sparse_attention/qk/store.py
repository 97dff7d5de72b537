"""Store queries and keys on disk: one safetensors shard per layer, written and read one example at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from sparse_attention.attention.masks import valid_pairs
from sparse_attention.errors import InputError
from sparse_attention.files.shards import ShardReader, ShardWriter, StoreWriter
from sparse_attention.files.sidecars import Sidecar

SIDECAR = "qk.json"
DESCRIPTION = Sidecar(SIDECAR, "sparse_attention.qk", 1, "queries and keys")
KIND_NAMES: dict[type, str] = {
    int: "a whole number", float: "a number", bool: "true or false", str: "a text", dict: "a mapping",
    type(None): "a whole number from 0 on, or null",
}  # fmt: skip
KINDS: dict[str, tuple[bool, type]] = {
    "layers": (True, int), "heads": (True, int), "head_dim": (True, int), "query_lengths": (False, int),
    "key_lengths": (False, int), "documents": (False, str), "causal": (True, bool), "alpha": (True, float),
    "local_windows": (False, type(None)), "dtype": (True, str), "source": (True, dict),
}  # fmt: skip
"""For each entry of the sidecar: whether it is a single value (True) or a list (False), and the kind of its values."""
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class QKInfo:
    """Description of the queries and keys in a store.

    Attributes
    ----------
    layers, heads, head_dim : int
        Numbers of layers and heads, and size of a head.
    query_lengths, key_lengths : tuple of int
        Numbers of queries and of keys of each example; they differ only in cross-attention.
    documents : tuple of str
        Identifier of the document of each example.
    causal : bool
        Whether a query sees no later key.
    alpha : float
        Alpha of the entmax that the model was trained with; 1 is softmax.
    local_windows : tuple of (int or None)
        For each layer the largest distance between a query and its keys, inclusive; None for full attention.
    dtype : str
        Dtype of the vectors on disk: float32, float16 or bfloat16.
    source : mapping
        Origin of the vectors, with a sha256 for each file.

    Raises
    ------
    ValueError
        When numbers are out of range, or lists differ in length.
    """

    layers: int
    heads: int
    head_dim: int
    query_lengths: tuple[int, ...]
    key_lengths: tuple[int, ...]
    documents: tuple[str, ...]
    causal: bool = False
    alpha: float = 1.5
    local_windows: tuple[int | None, ...] = ()
    dtype: str = "float32"
    source: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("query_lengths", "key_lengths", "documents", "local_windows"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not self.local_windows:
            object.__setattr__(self, "local_windows", (None,) * self.layers)
        if min(self.layers, self.heads, self.head_dim) < 1:
            raise ValueError(
                f"layers {self.layers}, heads {self.heads}, head_dim {self.head_dim}; allowed: at least 1 each"
            )
        if not self.query_lengths or min(self.query_lengths + self.key_lengths, default=0) < 1:
            raise ValueError(
                "query_lengths or key_lengths is empty or holds 0; allowed: at least one example, lengths at least 1"
            )
        if not len(self.query_lengths) == len(self.key_lengths) == len(self.documents):
            raise ValueError(
                "query_lengths, key_lengths and documents differ in length; allowed: the same number of entries"
            )
        if len(self.local_windows) != self.layers:
            raise ValueError(
                f"local_windows has {len(self.local_windows)} entries; allowed: {self.layers}, as many as layers"
            )
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype {self.dtype!r}; allowed: {', '.join(DTYPES)}")
        if not 1 <= self.alpha <= 2:
            raise ValueError(f"alpha {self.alpha}; allowed: 1 (softmax) to 2 (sparsemax)")

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> QKInfo:
        """Build it from a sidecar; raise `ValueError` when an entry is missing, unknown or of a wrong kind."""
        names = {each.name for each in fields(cls)}
        if not isinstance(content, Mapping):
            raise ValueError(
                f"the description of queries and keys is no mapping; allowed: a mapping of {', '.join(sorted(names))}"
            )
        for fault, wrong in (("lacks", names - set(content)), ("holds the unknown", set(content) - names)):
            if wrong:
                raise ValueError(f"{fault} {', '.join(map(repr, sorted(wrong)))}; allowed: {', '.join(sorted(names))}")
        for name, value in content.items():
            single, kind = KINDS[name]
            values = [value] if single else value
            if not isinstance(values, list | tuple) or not all(_is_of_kind(each, kind) for each in values):
                text = "" if single else "a list, each "
                raise ValueError(f"{name} {str(value)[:80]!r}; allowed: {text}{KIND_NAMES[kind]}")
        if len(content["local_windows"]) != content["layers"]:  # an empty tuple would be filled up
            found = len(content["local_windows"])
            raise ValueError(f"local_windows has {found} entries; allowed: {content['layers']}, as many as layers")
        return cls(**content)

    @property
    def examples(self) -> int:
        """Number of examples."""
        return len(self.query_lengths)

    def valid(self, layer: int, index: int) -> Tensor:
        """Return the pairs that the attention of `layer` may use in example `index`, boolean ``(queries, keys)``."""
        return valid_pairs(self.query_lengths[index], self.key_lengths[index], self.causal, self.local_windows[layer])

    def layout(self) -> dict[str, tuple[torch.dtype, tuple[int, ...]]]:
        """Return the names of the tensors of one shard with their dtypes and shapes ``(tokens, heads, head_dim)``."""
        tokens = {"queries": sum(self.query_lengths), "keys": sum(self.key_lengths)}
        return {name: (DTYPES[self.dtype], (rows, self.heads, self.head_dim)) for name, rows in tokens.items()}


@dataclass(frozen=True)
class Example:
    """Queries and keys of one example in one layer.

    Attributes
    ----------
    index : int
        Position of the example in its store.
    queries, keys : Tensor
        float32 ``(heads, queries, head_dim)`` and ``(heads, keys, head_dim)``, not divided by √head_dim.
    valid : Tensor
        Boolean ``(queries, keys)``: the pairs that attention may use.
    """

    index: int
    queries: Tensor
    keys: Tensor
    valid: Tensor


class QKWriter(StoreWriter):
    """Writer of a store: every (layer, example) is written once, in any order; `close` writes the sidecar.

    Only the vectors being written are in memory. When the body of a `with` statement fails, no sidecar is written.

    Parameters
    ----------
    folder : path-like
        Where to write.
    info : QKInfo
        Description of the queries and keys.

    Raises
    ------
    InputError
        When the disk has too little room.
    """

    def __init__(self, folder: str | os.PathLike[str], info: QKInfo) -> None:
        self.folder, self.info = Path(folder), info
        self.folder.mkdir(parents=True, exist_ok=True)
        self._starts = {"queries": _starts(info.query_lengths), "keys": _starts(info.key_lengths)}
        self._written = np.zeros((info.layers, info.examples), dtype=bool)
        self._shards = [ShardWriter(shard_path(self.folder, layer), info.layout()) for layer in range(info.layers)]
        self.require_room("lower extract_qk.examples, or choose extract_qk.dtype: float16")

    def write(self, layer: int, example: int, queries: Tensor, keys: Tensor) -> None:
        """Write queries ``(heads, queries, head_dim)`` and keys ``(heads, keys, head_dim)`` of one example and layer.

        Raises
        ------
        InputError
            When a number is not finite, or out of range of the dtype on disk.
        """
        for name, vectors, lengths in (
            ("queries", queries, self.info.query_lengths),
            ("keys", keys, self.info.key_lengths),
        ):
            shape = (self.info.heads, lengths[example], self.info.head_dim)
            if tuple(vectors.shape) != shape:
                place = f"{name} of example {example}, layer {layer}"
                raise ValueError(f"{place}: shape {tuple(vectors.shape)}, expected {shape}")
            rows = vectors.detach().to(DTYPES[self.info.dtype]).transpose(0, 1)
            if not torch.isfinite(rows).all():
                finite = bool(torch.isfinite(vectors).all())
                cause = f"do not fit into {self.info.dtype}" if finite else "hold NaN or infinity"
                raise InputError(
                    f"{name} of layer {layer}, example {example} of the split, {cause}; allowed: finite numbers"
                )
            self._shards[layer].write(name, self._starts[name][example], rows)
        self._written[layer, example] = True

    def close(self) -> None:
        """Finish the shards and write the sidecar; raise `ValueError` when an example is missing."""
        if not self._written.all():
            layer, example = np.argwhere(~self._written)[0]
            self.abandon()
            raise ValueError(f"{self.folder}: layer {layer}, example {example} was never written")
        super().close()
        shapes = {name: list(shape) for name, (_, shape) in self.info.layout().items()}
        shards = {shard.path.name: shapes for shard in self._shards}
        DESCRIPTION.write(self.folder, {**asdict(self.info), "shards": shards})


class QKReader:
    """Reader of a store, one example at a time.

    Raises
    ------
    InputError
        When the sidecar or a shard is missing, truncated, damaged, or does not match the other.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        content = DESCRIPTION.read(self.folder)
        content.pop("shards", None)
        try:
            self.info = QKInfo.of(content)
        except ValueError as error:
            raise InputError(f"{self.folder / SIDECAR}: {error}") from None
        self._starts = {"queries": _starts(self.info.query_lengths), "keys": _starts(self.info.key_lengths)}
        self._shards = [ShardReader(shard_path(self.folder, layer)) for layer in range(self.info.layers)]
        for shard in self._shards:
            shard.expect(self.info.layout())

    def example(self, layer: int, i: int) -> Example:
        """Return example `i` of `layer`."""
        queries, keys = (self._vectors(name, layer, i) for name in ("queries", "keys"))
        return Example(i, queries, keys, self.info.valid(layer, i))

    def examples(self, layer: int) -> Iterator[Example]:
        """Yield all examples of `layer` in order, one in memory at a time."""
        return (self.example(layer, i) for i in range(self.info.examples))

    def _vectors(self, name: str, layer: int, i: int) -> Tensor:
        rows = self._shards[layer].read(name, self._starts[name][i], self._starts[name][i + 1])
        if not torch.isfinite(rows).all():
            path = self._shards[layer].path
            raise InputError(f"{path}: {name} of example {i} hold NaN or infinity; allowed: finite numbers")
        return rows.float().transpose(0, 1).contiguous()


class QKStore(Protocol):
    """Interface of `QKReader`."""

    @property
    def info(self) -> QKInfo:
        """Description of the queries and keys."""

    def example(self, layer: int, i: int) -> Example:
        """Return example `i` of `layer`."""

    def examples(self, layer: int) -> Iterator[Example]:
        """Yield the examples of `layer` in order."""


def shard_path(folder: Path, layer: int) -> Path:
    """Return the path of the shard of `layer`."""
    return folder / f"layer~{layer}.safetensors"


def _is_of_kind(value: object, kind: type) -> bool:
    """Return whether a value is of a kind of `KIND_NAMES`; True and False are no numbers."""
    if isinstance(value, bool):
        return kind is bool
    if kind is type(None):
        return value is None or (isinstance(value, int) and value >= 0)
    return isinstance(value, int | float) if kind is float else isinstance(value, kind)


def _starts(lengths: tuple[int, ...]) -> list[int]:
    """Return the first row of each example in a shard; the last entry is the number of rows."""
    return list(accumulate(lengths, initial=0))
