"""The gold support: the keys with non-zero probability under full attention, stored as packed bits."""

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
    """Gold support and probabilities of one example in one layer.

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
    """Compute the exact support of `entmax(q kᵀ / √head_dim)` over the valid pairs.

    Scores and probabilities are computed in float64, so that float32 rounding does not decide whether a pair is in the
    support. One head is in memory at a time.

    Parameters
    ----------
    example : Example
        Queries, keys and valid pairs.
    alpha : float
        Alpha of the entmax, in (1, 2].

    Raises
    ------
    InputError
        When alpha is 1 (softmax), where every valid pair has a positive probability.
    """
    if alpha <= 1:
        raise InputError(
            f"attentions: alpha {alpha:g} (softmax) has no sparse support; allowed: entmax~A with A in (1, 2]"
        )
    heads, (queries, keys) = example.queries.shape[0], example.valid.shape
    support, values = torch.empty(heads, queries, keys, dtype=torch.bool), []
    for head in range(heads):
        scores = example.queries[head].double() @ example.keys[head].double().T / example.keys.shape[-1] ** 0.5
        probability = probabilities(scores.masked_fill_(~example.valid, -torch.inf), alpha)
        torch.gt(probability, 0, out=support[head])
        values.append(probability[support[head]].float())
    return Gold(support, torch.cat(values))


class GoldWriter(StoreWriter):
    """Writer of gold supports: every (layer, example) is written once, in any order; `close` writes the sidecar.

    The shard of a layer holds two tensors. `support` is uint8: the keys of each (head, query) row are packed as by
    `numpy.packbits` and filled up to a whole byte; examples follow one another, and zeros fill up to a multiple of 8
    bytes. `probabilities` is float32: the probabilities of the pairs of the support.

    Parameters
    ----------
    folder : path-like
        Where to write.
    info : QKInfo
        Description of the queries and keys.
    source : mapping
        Sha256 of the files that the support was computed from.
    """

    def __init__(
        self, folder: str | os.PathLike[str], info: QKInfo, source: Mapping[str, object] | None = None
    ) -> None:
        self.folder, self.info, self.source = Path(folder), info, source or {}
        self.folder.mkdir(parents=True, exist_ok=True)
        self._starts = _support_starts(info)
        layout = {"support": (torch.uint8, (_support_bytes(info),)), "probabilities": (torch.float32, (None,))}
        self._shards = [ShardWriter(shard_path(self.folder, layer), layout) for layer in range(info.layers)]
        self.require_room("lower extract_qk.examples")
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
        """Finish the shards and write the sidecar; raise `ValueError` when an example is missing."""
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
    """Reader of gold supports, one example at a time.

    Attributes
    ----------
    info : QKInfo
        Description of the queries and keys that they were computed from.
    sparsity, support_size : numpy.ndarray
        float64 ``(layers, heads)``: share of valid pairs outside the support, and gold keys per query, both computed
        for each example and averaged over examples.

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
            raise InputError(
                f"{shard.path}: example {i} lies outside the file; allowed: a shard that was written with its {SIDECAR}"
            )
        return Gold(support, shard.read("probabilities", start, start + pairs))

    def examples(self, layer: int) -> Iterator[Gold]:
        """Yield the gold supports of all examples of `layer` in order, one in memory at a time."""
        return (self.example(layer, i) for i in range(self.info.examples))


class GoldStore(Protocol):
    """Interface of `GoldReader`."""

    @property
    def info(self) -> QKInfo:
        """Description of the queries and keys."""

    def example(self, layer: int, i: int) -> Gold:
        """Return the gold support of example `i` in `layer`."""

    def examples(self, layer: int) -> Iterator[Gold]:
        """Yield the gold supports of `layer` in order."""


def _support_starts(info: QKInfo) -> list[int]:
    """Return where the packed support of each example starts in a shard, in bytes; the last entry is their end."""
    lengths = zip(info.query_lengths, info.key_lengths, strict=True)
    sizes = (queries * -(-keys // 8) * info.heads for queries, keys in lengths)
    return list(accumulate(sizes, initial=0))


def _support_bytes(info: QKInfo) -> int:
    """Return the size of the tensor `support` in bytes, a multiple of 8 so that the tensor behind it is aligned."""
    return -(-_support_starts(info)[-1] // 8) * 8


def _numbers(content: Mapping[str, Any], name: str, dtype: type, shape: tuple[int, ...]) -> np.ndarray:
    """Return an entry of the sidecar as an array; raise `ValueError` for another shape, NaN or infinity."""
    try:
        array: np.ndarray = np.array(content[name], dtype=dtype)
    except (TypeError, ValueError, OverflowError):
        array = np.array(np.nan)
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"{name} is damaged; allowed: finite numbers of shape {shape}")
    return array


def block_gold(gold: Gold, size: int) -> Gold:
    """Return the gold support of blocks of `size` tokens; a pair of blocks has the summed probability of its tokens."""
    support = block_any(gold.support, size)
    _, queries, keys = support.shape
    head, query, key = np.nonzero(gold.support.numpy())
    cells = (head * queries + query // size) * keys + key // size
    sums = np.bincount(cells, gold.probabilities.numpy().astype(np.float64), minlength=support.numel())
    return Gold(support, torch.from_numpy(sums)[support.reshape(-1)].float())
