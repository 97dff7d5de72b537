"""Queries, keys and values to attend with: random ones, stored ones, or those of a layer of a model on a text."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface, AutoModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from sparse_attention.block_sparse.visible import Visible
from sparse_attention.errors import InputError
from sparse_attention.models import attention
from sparse_attention.models.hub import load_model, load_tokenizer
from sparse_attention.models.weights import HEADS
from sparse_attention.qk.store import SIDECAR, QKReader

RECORDED = "recorded"


@dataclass(frozen=True)
class Inputs:
    """What attention is given.

    Attributes
    ----------
    query : Tensor
        ``(1, heads, tokens, head_dim)``.
    key, value : Tensor
        ``(1, groups, tokens, head_dim)``; neighbouring heads of queries share one head of keys.
    visible : Visible
        What each query may see.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    visible: Visible

    @property
    def keys_by_head(self) -> Tensor:
        """The keys of each head of queries, ``(heads, tokens, head_dim)``."""
        return self.key[0].repeat_interleave(self.query.shape[1] // self.key.shape[1], 0)


class Source(Protocol):
    """Where queries, keys and values come from."""

    name: str

    def lengths(self, asked: list[int]) -> list[int]:
        """Return the lengths that there are among those asked for."""

    def at(self, length: int) -> Inputs:
        """Return what attention is given at a length."""


def open_source(options: argparse.Namespace) -> Source:
    """Return the source that `--source` names; raise `InputError` for a folder that is neither."""
    if options.source == "random":
        return Random(options)
    folder = Path(options.source)
    if (folder / SIDECAR).is_file():
        return Stored(folder, options.layer)
    if (folder / "config.json").is_file():
        return OfModel(folder, options)
    raise InputError(
        f"--source {folder}: neither {SIDECAR} nor config.json is there; allowed: random, a folder of queries and keys "
        "(results/qk/{run}/validation), a model folder"
    )


class Random:
    """Normal queries, keys and values, which all see each other."""

    name = "random"

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options

    def lengths(self, asked: list[int]) -> list[int]:
        """Return all."""
        return asked

    def at(self, length: int) -> Inputs:
        """Draw them from a seed of the length."""
        draw = torch.Generator().manual_seed(length)
        shape = 1, self.options.heads, length, self.options.dim
        vectors = (torch.randn(shape, generator=draw) * self.options.deviation for _ in range(3))
        return Inputs(*vectors, Visible.everything(1, length, length, self.options.causal))


class Stored:
    """The longest example of a store, at its own length: examples end where the model's blocks end."""

    def __init__(self, folder: Path, layer: int | None) -> None:
        self.reader, self.name = QKReader(folder), str(folder)
        info = self.reader.info
        self.layer = checked_layer(folder, info.layers // 2 if layer is None else layer, info.layers)
        self.index = max(range(info.examples), key=lambda index: info.query_lengths[index])

    def lengths(self, asked: list[int]) -> list[int]:
        """Return the length of the example, whatever is asked for."""
        return [self.reader.info.query_lengths[self.index]]

    def at(self, length: int) -> Inputs:
        """Return its queries and keys, with random values, which a store does not hold."""
        example = self.reader.example(self.layer, self.index)
        visible = Visible.of_mask(example.valid[None, None])
        assert visible is not None
        values = torch.randn(example.keys.shape, generator=torch.Generator().manual_seed(0))
        return Inputs(example.queries[None], example.keys[None], values[None], visible)


class OfModel:
    """Queries, keys and values of one layer of a model that reads the beginning of a text."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        if not options.text:
            raise InputError(f"--source {folder}: a model reads a text; allowed: --text FILE beside it")
        self.name, self.text = str(folder), options.text
        text = Path(options.text).read_text(encoding="utf-8")
        self.tokens = load_tokenizer(folder)(text, return_tensors="pt", verbose=False)["input_ids"]
        self.model, _ = load_model(AutoModel, folder, "a model", HEADS)
        layers = self.model.config.num_hidden_layers
        self.layer = checked_layer(folder, layers // 2 if options.layer is None else options.layer, layers)
        AttentionInterface.register(RECORDED, Recorder(self.layer))
        self.model.set_attn_implementation(RECORDED)

    def lengths(self, asked: list[int]) -> list[int]:
        """Return all; raise `InputError` for one beyond the text, or beyond the positions of the model."""
        positions = getattr(self.model.config, "max_position_embeddings", None) or max(asked)
        for number, what in ((positions, f"{self.name} has {positions} positions"),
                             (self.tokens.shape[1], f"{self.text} has {self.tokens.shape[1]} tokens")):  # fmt: skip
            if max(asked) > number:
                raise InputError(f"--lengths {max(asked)}: {what}; allowed: up to {number}")
        return asked

    @torch.no_grad()
    def at(self, length: int) -> Inputs:
        """Run the model on the first tokens, up to the layer."""
        recorder = Recorder(self.layer)
        AttentionInterface.register(RECORDED, recorder)
        try:
            self.model(input_ids=self.tokens[:, :length])
        except Reached:
            return recorder.inputs[0]
        raise InputError(f"{self.name}: attention is not computed behind transformers' interface; allowed: a model "
                         "with an exchangeable attention")  # fmt: skip


class Reached(Exception):
    """The layer is reached; later ones are not needed."""


class Recorder:
    """An attention function that keeps what one layer is given, and computes the layers before."""

    def __init__(self, layer: int) -> None:
        self.layer, self.calls = layer, 0
        self.inputs: list[Inputs] = []

    def __call__(
        self, module: torch.nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **options: Any
    ) -> tuple[Tensor, Tensor | None]:
        """Attend as transformers' interface asks for."""
        self.calls += 1
        if self.calls > self.layer:
            everything = Visible.everything(1, query.shape[2], key.shape[2])
            visible = everything if mask is None else Visible.of_mask(mask)
            if visible is None:
                raise InputError("--source: unknown attention mask; allowed: causal, full or a sliding window")
            self.inputs.append(Inputs(query.contiguous(), key.contiguous(), value.contiguous(), visible))
            raise Reached
        if hasattr(module.config, "sparse_attention"):
            return attention.attend(module, query, key, value, mask, **options)
        return sdpa_attention_forward(module, query, key, value, mask, **options)


def checked_layer(folder: Path, layer: int, layers: int) -> int:
    """Return the number of a layer; raise `InputError` when there is no such layer."""
    if not 0 <= layer < layers:
        raise InputError(f"--layer {layer}: {folder} has {layers} layers; allowed: 0 to {layers - 1}")
    return layer


def _mask(*arguments: Any, **options: Any) -> Tensor | None:
    """Make transformers' mask, also where it would pass a flag in its place."""
    return sdpa_mask(*arguments, **{**options, "allow_is_causal_skip": False})


AttentionMaskInterface.register(RECORDED, _mask)
