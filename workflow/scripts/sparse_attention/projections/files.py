"""Reads projections from our safetensors files and from the originals' torch files."""

from __future__ import annotations

import json
import re

import torch
from torch import Tensor

from sparse_attention.errors import InputError
from sparse_attention.files.tensors import StrPath, read_metadata, read_safetensors, read_torch

Weights = dict[str, Tensor]
Layers = list[tuple[Weights, Weights]]
METADATA = "setting"  # a single entry: safetensors writes several in an order that varies from run to run


def read_layers(path: StrPath) -> Layers:
    """Read the weights of each layer's queries and keys from safetensors; shared ones are one and the same object."""
    layers: dict[int, dict[str, Weights]] = {}
    for name, value in read_safetensors(path).items():
        parts = re.fullmatch(r"layer~(\d+)\.(both|queries|keys)\.(\w+)", name)
        if not parts:
            raise InputError(f"{path}: tensor {name!r}; names must look like layer~0.both.w or layer~0.queries.w")
        layer, side, weight = parts.groups()
        if not value.is_floating_point():
            raise InputError(f"{path}: tensor {name!r} is {value.dtype}; must hold floating-point numbers")
        layers.setdefault(int(layer), {}).setdefault(side, {})[weight] = value.to(torch.float32)
    pairs = []
    for number in range(len(layers)):
        sides = layers.get(number, {})
        if sorted(sides) not in (["both"], ["keys", "queries"]):
            raise InputError(f"{path}: layer {number} has {sorted(sides)}; must have both, or queries and keys")
        pairs.append((sides["both"], sides["both"]) if "both" in sides else (sides["queries"], sides["keys"]))
    return pairs


def read_form(path: StrPath) -> tuple[int, bool] | None:
    """Read `block_size` and `concat` from the metadata of a safetensors file; None where it has none."""
    text = read_metadata(path).get(METADATA)
    if text is None:
        return None
    try:
        setting = json.loads(text)
        size, concat = setting["block_size"], setting["concat"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise InputError(f"{path}: metadata {METADATA} {text!r}; must be JSON with block_size and concat") from None
    if type(size) is not int or size < 1 or type(concat) is not bool:
        raise InputError(
            f"{path}: block_size {size!r}, concat {concat!r}; must be a whole number from 1 on, and a bool"
        )
    return size, concat


def read_original_layers(path: StrPath) -> Layers:
    """Read the originals' list over layers of `{"q": weights, "k": weights}`."""
    content = read_torch(path)
    if not isinstance(content, list | tuple):
        raise InputError(f"{path}: holds a {type(content).__name__}; must be a list over layers of {{q, k}} states")
    return [
        (_side(entry, "q", f"{path}: layer {layer}"), _side(entry, "k", f"{path}: layer {layer}"))
        for layer, entry in enumerate(content)
    ]


def _side(entry: object, side: str, where: str) -> Weights:
    if not isinstance(entry, dict) or not isinstance(entry.get(side), dict):
        raise InputError(f"{where}: must be a mapping with the states q and k; {side!r} is missing")
    for name, value in entry[side].items():
        if not isinstance(value, Tensor) or not value.is_floating_point():
            raise InputError(f"{where}: {side}.{name} must be a tensor of floating-point numbers")
    return {str(name): value.detach().to(torch.float32).contiguous().clone() for name, value in entry[side].items()}
