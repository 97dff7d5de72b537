"""Write stored queries and keys as a query/key dump in the format of the original code."""

from __future__ import annotations

import itertools
import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sparse_attention.files.atomic import atomic_path
from sparse_attention.qk.store import QKReader


def write_dump(reader: QKReader, path: str | os.PathLike[str]) -> None:
    """Write a dump: vectors in float32, and `length_src` as a float tensor, as the original code does.

    The vectors go through a scratch file beside `path`, so memory does not grow with the number of examples.
    `length_trg` is written for cross-attention only. A dump does not hold documents, alpha or masks.
    """
    info, path = reader.info, Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    content: dict[str, Tensor | list[Tensor]] = {
        "length_src": torch.tensor(info.key_lengths, dtype=torch.float32),
        "q": [],
        "k": [],
    }
    if info.query_lengths != info.key_lengths:
        content["length_trg"] = torch.tensor(info.query_lengths, dtype=torch.float32)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        scratch = Path(folder) / "vectors"
        shapes = [
            (info.layers, info.heads, tokens, info.head_dim)
            for lengths in zip(info.query_lengths, info.key_lengths, strict=True)
            for tokens in lengths
        ]
        starts = list(itertools.accumulate((4 * int(np.prod(shape)) for shape in shapes), initial=0))
        with scratch.open("wb") as stream:
            stream.truncate(starts[-1])
        maps = [
            np.memmap(scratch, np.float32, "r+", start, shape) for start, shape in zip(starts[:-1], shapes, strict=True)
        ]
        for index, layer in itertools.product(range(info.examples), range(info.layers)):
            example = reader.example(layer, index)
            maps[2 * index][layer], maps[2 * index + 1][layer] = example.queries.numpy(), example.keys.numpy()
        content["q"], content["k"] = ([torch.from_numpy(vectors) for vectors in maps[first::2]] for first in (0, 1))
        with atomic_path(path) as partial, partial.open("wb") as target:
            torch.save(content, target)
