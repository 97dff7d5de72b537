"""Read the query/key dumps of the original code, `*_enc-attn.pt`, with a loader that runs no code.

A dump is a dict. `q` and `k` are lists with one tensor ``(layers, heads, tokens, head_dim)`` per example. `length_src`
is the number of tokens of each example, a list of ints or a tensor ``(examples,)``. Dumps of machine translation also
have `length_trg`, the numbers of queries; `length_src` then is the number of keys. Tensors may be padded behind these
lengths.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from sparse_attention.errors import InputError
from sparse_attention.files.tensors import read_torch

REQUIRED = ("length_src", "q", "k")
OPTIONAL = ("length_trg",)
FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


class Dump:
    """A query/key dump of the original code, checked when it is opened and read one example at a time.

    Files of torch 1.6 and later are memory-mapped; older ones are read as a whole.

    Attributes
    ----------
    layers, heads, head_dim : int
        Numbers of layers and heads, and size of a head.
    query_lengths, key_lengths : tuple of int
        Numbers of queries and of keys of each example.

    Raises
    ------
    InputError
        When the file is missing, truncated, not a torch file, holds more than tensors, numbers and plain containers,
        or does not have the layout of a dump.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        content = read_torch(self.path)
        self._check_keys(content)
        self._tensors: dict[str, list[Tensor]] = {"q": content["q"], "k": content["k"]}
        examples = len(self._tensors["q"])
        if not examples:
            raise InputError(f"{self.path}: holds no examples; allowed: at least one")
        if len(self._tensors["k"]) != examples:
            raise InputError(f"{self.path}: {len(self._tensors['k'])} tensors in k; allowed: {examples}, as in q")
        self.key_lengths = self._lengths("length_src", content["length_src"], examples)
        self.query_lengths = self.key_lengths
        if "length_trg" in content:
            self.query_lengths = self._lengths("length_trg", content["length_trg"], examples)
        for index in range(examples):
            self._check_example(index)
        self.layers, self.heads, _, self.head_dim = self._tensors["q"][0].shape

    def example(self, index: int) -> tuple[Tensor, Tensor]:
        """Return queries and keys of one example, float32 ``(layers, heads, tokens, head_dim)``, without padding.

        Raises
        ------
        InputError
            When a number is not finite.
        """
        lengths = {"q": self.query_lengths[index], "k": self.key_lengths[index]}
        queries, keys = (self._tensors[name][index].detach()[:, :, :length].float() for name, length in lengths.items())
        for name, vectors in (("q", queries), ("k", keys)):
            if not torch.isfinite(vectors).all():
                raise InputError(f"{self.path}: example {index}: {name} holds NaN or infinity; allowed: finite numbers")
        return queries, keys

    def parts(self) -> Iterator[tuple[int, int, Tensor, Tensor]]:
        """Yield (layer, example, queries, keys), vectors float32 ``(heads, tokens, head_dim)``, example by example."""
        for index in range(len(self.key_lengths)):
            queries, keys = self.example(index)
            for layer in range(self.layers):
                yield layer, index, queries[layer], keys[layer]

    def _check_keys(self, content: object) -> None:
        layout = f"allowed: a dict of {', '.join(REQUIRED)} and optionally {', '.join(OPTIONAL)}"
        if not isinstance(content, dict):
            raise InputError(f"{self.path}: holds a {type(content).__name__}; {layout}")
        missing = [key for key in REQUIRED if key not in content]
        unknown = [key for key in content if key not in REQUIRED + OPTIONAL]
        if missing or unknown:
            faults = [f"lacks {', '.join(missing)}"] * bool(missing) + [
                f"holds {', '.join(map(repr, unknown))}"
            ] * bool(unknown)
            raise InputError(f"{self.path}: {' and '.join(faults)}; {layout}")
        for name in ("q", "k"):
            if not isinstance(content[name], list | tuple):
                raise InputError(f"{self.path}: {name} is a {type(content[name]).__name__}; allowed: a list of tensors")
            for index, value in enumerate(content[name]):
                if not isinstance(value, Tensor):
                    text = f"example {index}: {name} is a {type(value).__name__}; allowed: a tensor"
                    raise InputError(f"{self.path}: {text}")

    def _lengths(self, name: str, values: object, examples: int) -> tuple[int, ...]:
        if isinstance(values, Tensor) and values.ndim == 1:
            values = values.tolist()
        if not isinstance(values, list | tuple):
            raise InputError(
                f"{self.path}: {name} is a {type(values).__name__}; allowed: a list of ints or a 1-D tensor"
            )
        if len(values) != examples:
            raise InputError(f"{self.path}: {len(values)} lengths in {name}; allowed: {examples}, one for each example")
        lengths = []
        for index, value in enumerate(values):
            number = value.item() if isinstance(value, Tensor) and value.numel() == 1 else value
            if isinstance(number, bool) or not isinstance(number, int | float) or not number >= 1 or number % 1:
                raise InputError(f"{self.path}: example {index}: {name} is {number}; allowed: whole numbers from 1 on")
            lengths.append(int(number))
        return tuple(lengths)

    def _check_example(self, index: int) -> None:
        where = f"{self.path}: example {index}"
        first, shapes = self._tensors["q"][0].shape, {}
        lengths = {"q": self.query_lengths[index], "k": self.key_lengths[index]}
        for name, length in lengths.items():
            tensor = self._tensors[name][index]
            shapes[name] = tuple(tensor.shape)
            if tensor.dtype not in FLOATS:
                found, *kinds = (str(dtype).removeprefix("torch.") for dtype in (tensor.dtype, *FLOATS))
                raise InputError(f"{where}: {name} is {found}; allowed: {', '.join(kinds)}")
            if tensor.ndim != 4 or not tensor.numel():
                raise InputError(
                    f"{where}: {name} has shape {shapes[name]}; allowed: (layers, heads, tokens, head_dim)"
                )
            if length > tensor.shape[2]:
                raise InputError(
                    f"{where}: {name} has {tensor.shape[2]} tokens; allowed: at least its length, {length}"
                )
            if (*tensor.shape[:2], tensor.shape[3]) != (*first[:2], first[3]):
                text = f"layers, heads and head_dim of q of example 0, {tuple(first)}"
                raise InputError(f"{where}: {name} has shape {shapes[name]}; allowed: {text}")
