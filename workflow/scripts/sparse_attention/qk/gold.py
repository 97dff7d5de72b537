"""The gold support: which keys get a non-zero probability from the full scores, computed once and stored bit-packed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from sparse_attention.attention.blocks import block_any
from sparse_attention.attention.entmax import probabilities
from sparse_attention.errors import InputError
from sparse_attention.files.shards import ShardReader, ShardWriter, StoreWriter
from sparse_attention.files.sidecars import Sidecar
from sparse_attention.qk.store import Example, QKInfo, shard_path

SIDECAR = "gold.json"
DESCRIPTION = Sidecar(SIDECAR, "sparse_attention.gold", 1, "gold supports")


@dataclass(frozen=True)
class Gold:
    """Gold support of one example in one layer.

    Attributes
    ----------
    support : Tensor
        Boolean ``(heads, queries, keys)``.
    probabilities : Tensor
        float32 ``(pairs,)``: the entmax probability of each pair of the support, in row-major order.
    """

    support: Tensor
    probabilities: Tensor

    def dense(self) -> Tensor:
        """Return all probabilities, float32 ``(heads, queries, keys)``, zero outside the support."""
        dense = torch.zeros(self.support.shape)
        dense[self.support] = self.probabilities
        return dense


def gold_of(example: Example, alpha: float) -> Gold:
    """Compute the exact support of `entmax(q kᵀ / √head_dim)`, invalid pairs at −inf.

    Scores and probabilities are float64, so that rounding decides no pair; one head is in memory at a time.

    Raises
    ------
    InputError
        When alpha is that of softmax, whose support is everything.
    """
    if alpha <= 1:
        raise InputError(f"attentions: alpha {alpha:g} (softmax) has no sparse support; allowed: entmax~A, A in (1, 2]")
    heads, (queries, keys) = example.queries.shape[0], example.valid.shape
    support, values = torch.empty(heads, queries, keys, dtype=torch.bool), []
    for head in range(heads):
        scores = example.queries[head].double() @ example.keys[head].double().T / example.keys.shape[-1] ** 0.5
        probability = probabilities(scores.masked_fill_(~example.valid, -torch.inf), alpha)
        torch.gt(probability, 0, out=support[head])
        values.append(probability[support[head]].float())
    return Gold(support, torch.cat(values))


class GoldWriter(StoreWriter):
    """Writes the gold support of a store: every (layer, example) once, in any order; the sidecar comes last.

    A shard holds `support` (uint8: each (head, query) row of keys packed as by `numpy.packbits` and filled up to a
    byte, examples one after the other, zeros up to a multiple of 8 bytes) and `probabilities` (float32).

    Parameters
    ----------
    folder : path-like
        Where to write.
    info : QKInfo
        Of the queries and keys.
    source : mapping
        Sha256 of what the support was computed from.
    """

    def __init__(
        self, folder: str | os.PathLike[str], info: QKInfo, source: Mapping[str, object] | None = None
    ) -> None:
        self.folder, self.info, self.source = Path(folder), info, source or {}
        self.folder.mkdir(parents=True, exist_ok=True)
        self._starts = _support_starts(info)
        layout = {"support": (torch.uint8, (_support_bytes(info),)), "probabilities": (torch.float32, (None,))}
        self._shards = [ShardWriter(shard_path(self.folder, layer), layout) for layer in range(info.layers)]
        self._pairs = [0] * info.layers
        self._offsets = np.full((info.layers, info.examples), -1, dtype=np.int64)
        self._sparsity = np.zeros((info.layers, info.heads))
        self._size = np.zeros((info.layers, info.heads))

    def write(self, layer: int, example: Example, gold: Gold) -> None:
        """Store the gold support of one example in one layer."""
        shape = (self.info.heads, *example.valid.shape)
        if tuple(gold.support.shape) != shape or len(gold.probabilities) != int(gold.support.sum()):
            raise ValueError(f"gold support of example {example.index}, layer {layer}, does not have the shape {shape}")
        packed = torch.from_numpy(np.packbits(gold.support.numpy(), axis=-1).reshape(-1))
        self._shards[layer].write("support", self._starts[example.index], packed)
        self._shards[layer].write("probabilities", self._pairs[layer], gold.probabilities)
        self._offsets[layer, example.index] = self._pairs[layer]
        self._pairs[layer] += len(gold.probabilities)
        edges = gold.support.sum((1, 2)).double().numpy()
        self._sparsity[layer] += 1 - edges / int(example.valid.sum())
        self._size[layer] += edges / shape[1]

    def close(self) -> None:
        """Finish the shards and write the sidecar."""
        if (self._offsets < 0).any():
            layer, index = np.argwhere(self._offsets < 0)[0]
            self.abandon()
            raise ValueError(f"{self.folder}: layer {layer}, example {index} was never written")
        super().close()
        content = {
            "qk": asdict(self.info),
            "source": self.source,
            "sparsity": (self._sparsity / self.info.examples).tolist(),
            "support_size": (self._size / self.info.examples).tolist(),
            "offsets": self._offsets.tolist(),
        }
        DESCRIPTION.write(self.folder, content)


class GoldReader:
    """Reads gold supports one example at a time.

    Attributes
    ----------
    info : QKInfo
        Of the queries and keys that they were computed from.
    sparsity, support_size : numpy.ndarray
        float64 ``(layers, heads)``: share of valid pairs outside the support, and keys per query; for each example,
        then the mean over examples.

    Raises
    ------
    InputError
        When the sidecar or a shard is missing, truncated, damaged, or does not match the other.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        content = DESCRIPTION.read(self.folder)
        try:
            self.info = QKInfo.of(content["qk"])
            shape = (self.info.layers, self.info.heads)
            self.sparsity = _numbers(content, "sparsity", np.float64, shape)
            self.support_size = _numbers(content, "support_size", np.float64, shape)
            self._offsets = _numbers(content, "offsets", np.int64, (self.info.layers, self.info.examples))
        except KeyError as error:
            raise InputError(f"{self.folder / SIDECAR}: lacks {error}") from None
        except ValueError as error:
            raise InputError(f"{self.folder / SIDECAR}: {error}") from None
        self._starts = _support_starts(self.info)
        self._shards = [ShardReader(shard_path(self.folder, layer)) for layer in range(self.info.layers)]
        for shard in self._shards:
            pairs = shard.tensors.get("probabilities", (None, (0,)))[1]
            shard.expect(
                {"support": (torch.uint8, (_support_bytes(self.info),)), "probabilities": (torch.float32, pairs)}
            )

    def example(self, layer: int, i: int) -> Gold:
        """Return the gold support of example `i` in `layer`."""
        shard, keys = self._shards[layer], self.info.key_lengths[i]
        packed = shard.read("support", self._starts[i], self._starts[i + 1]).numpy()
        rows = packed.reshape(self.info.heads, self.info.query_lengths[i], -(-keys // 8))
        support = torch.from_numpy(np.unpackbits(rows, axis=-1, count=keys)).bool()
        start, pairs = int(self._offsets[layer, i]), int(support.sum())
        if not 0 <= start <= start + pairs <= shard.tensors["probabilities"][1][0]:
            raise InputError(f"{shard.path}: example {i} points outside the file; it is damaged or not of {SIDECAR}")
        return Gold(support, shard.read("probabilities", start, start + pairs))

    def examples(self, layer: int) -> Iterator[Gold]:
        """Yield the gold supports of `layer` in order, one in memory at a time."""
        return (self.example(layer, i) for i in range(self.info.examples))


class GoldStore(Protocol):
    """What reads like a `GoldReader`."""

    @property
    def info(self) -> QKInfo:
        """Of the queries and keys."""

    def example(self, layer: int, i: int) -> Gold:
        """Return the gold support of example `i` in `layer`."""

    def examples(self, layer: int) -> Iterator[Gold]:
        """Yield the gold supports of `layer` in order."""


def _support_starts(info: QKInfo) -> list[int]:
    sizes = (n * -(-m // 8) * info.heads for n, m in zip(info.query_lengths, info.key_lengths, strict=True))
    return list(accumulate(sizes, initial=0))


def _support_bytes(info: QKInfo) -> int:
    """Return the size of `support`: filled up so that the probabilities behind it are aligned."""
    return -(-_support_starts(info)[-1] // 8) * 8


def _numbers(content: Mapping[str, Any], name: str, dtype: type, shape: tuple[int, ...]) -> np.ndarray:
    """Return a part of the sidecar as an array; raise `ValueError` when it is none of this shape, or not finite."""
    try:
        array: np.ndarray = np.array(content[name], dtype=dtype)
    except (TypeError, ValueError, OverflowError):
        array = np.array(np.nan)
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"{name} is damaged; allowed: finite numbers of shape {shape}")
    return array


def block_gold(gold: Gold, size: int) -> Gold:
    """Return the gold support by block: the probabilities of its token pairs are summed."""
    support = block_any(gold.support, size)
    _, queries, keys = support.shape
    head, query, key = np.nonzero(gold.support.numpy())
    cells = (head * queries + query // size) * keys + key // size
    sums = np.bincount(cells, gold.probabilities.numpy().astype(np.float64), minlength=support.numel())
    return Gold(support, torch.from_numpy(sums)[support.reshape(-1)].float())
