"""Queries, keys and values to attend with: random ones, stored ones, or those of a layer of a model on a text."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface, AutoModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from sparse_attention.attention_timing.inputs import Inputs, Stored
from sparse_attention.block_sparse.visible import Visible
from sparse_attention.errors import InputError
from sparse_attention.models import attention
from sparse_attention.models.hub import load_model, load_tokenizer
from sparse_attention.models.weights import HEADS
from sparse_attention.qk.store import SIDECAR

RECORDED = "recorded"
LENGTHS = [512, 1024, 2048, 4096]
"""Lengths of sources that have none of their own."""


class Source(Protocol):
    """Where queries, keys and values come from."""

    name: str

    def lengths(self, asked: list[int] | None) -> list[int]:
        """Return the lengths to measure, by default those of the source; raise `InputError` for one that it lacks."""

    def at(self, length: int) -> Inputs:
        """Return what attention is given at a length."""


def open_source(options: argparse.Namespace) -> Source:
    """Return the source that `--source` names; raise `InputError` for a folder that is neither."""
    if options.source == "random":
        return Random(options)
    folder = Path(options.source)
    if (folder / SIDECAR).is_file():
        return OfStore(folder, options.layer)
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

    def lengths(self, asked: list[int] | None) -> list[int]:
        """Return all."""
        return asked or LENGTHS

    def at(self, length: int) -> Inputs:
        """Draw them from a seed of the length."""
        draw = torch.Generator().manual_seed(length)
        shape = 1, self.options.heads, length, self.options.dim
        vectors = (torch.randn(shape, generator=draw) * self.options.deviation for _ in range(3))
        return Inputs(*vectors, Visible.everything(1, length, length, self.options.causal))


class OfStore:
    """A store, see `Stored`: at the length of its longest example, or at the lengths asked for."""

    def __init__(self, folder: Path, layer: int | None) -> None:
        self.stored, self.name = Stored(folder, layer), str(folder)

    def lengths(self, asked: list[int] | None) -> list[int]:
        """Return what is asked for; raise `InputError` for more tokens than the store holds."""
        for length in asked or ():
            if length > self.stored.tokens:
                raise InputError(
                    f"--lengths {length}: {self.name} holds {self.stored.tokens} tokens; "
                    f"allowed: up to {self.stored.tokens}"
                )
        return asked or [self.stored.longest]

    def at(self, length: int) -> Inputs:
        """Return what attention is given at a length."""
        return self.stored.at(length)


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

    def lengths(self, asked: list[int] | None) -> list[int]:
        """Return all; raise `InputError` for one beyond the text, or beyond the positions of the model."""
        asked = asked or LENGTHS
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
