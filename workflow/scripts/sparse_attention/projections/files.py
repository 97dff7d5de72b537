"""Read projections from our safetensors files and from the torch files of the original code."""

from __future__ import annotations

import json
import re

import torch
from torch import Tensor

from sparse_attention.errors import InputError
from sparse_attention.files.tensors import StrPath, read_metadata, read_safetensors, read_torch
from sparse_attention.projections.weights import Weights

Layers = list[tuple[Weights, Weights]]
METADATA = "setting"  # the only metadata entry: safetensors writes several entries in an order that varies


def read_layers(path: StrPath) -> Layers:
    """Read the weights of queries and keys of each layer from a safetensors file.

    Returns
    -------
    list of tuple
        For each layer the weights of queries and of keys, float32; a shared projection is the same object twice.

    Raises
    ------
    InputError
        When a tensor's name or dtype, or the set of names, is not allowed.
    """
    layers: dict[int, dict[str, Weights]] = {}
    for name, value in read_safetensors(path).items():
        parts = re.fullmatch(r"layer~(\d+)\.(both|queries|keys)\.(\w+)", name)
        if not parts:
            raise InputError(
                f"{path}: tensor name {name!r}; allowed: names such as layer~0.both.w or layer~0.queries.w"
            )
        layer, side, weight = parts.groups()
        if not value.is_floating_point():
            raise InputError(f"{path}: tensor {name!r} is {value.dtype}; allowed: floating-point numbers")
        layers.setdefault(int(layer), {}).setdefault(side, {})[weight] = value.to(torch.float32)
    pairs = []
    for number in range(len(layers)):
        sides = layers.get(number, {})
        if sorted(sides) not in (["both"], ["keys", "queries"]):
            raise InputError(
                f"{path}: layer {number} has weights of {sorted(sides)}; allowed: both, or queries and keys"
            )
        pairs.append((sides["both"], sides["both"]) if "both" in sides else (sides["queries"], sides["keys"]))
    return pairs


def read_block_setting(path: StrPath) -> tuple[int, bool] | None:
    """Read `block_size` and `concat` from the metadata of a safetensors file; None where there is no such entry.

    Raises
    ------
    InputError
        When the entry is not JSON with a `block_size` and a `concat` of the right kind.
    """
    text = read_metadata(path).get(METADATA)
    if text is None:
        return None
    try:
        setting = json.loads(text)
        size, concat = setting["block_size"], setting["concat"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise InputError(f"{path}: metadata {METADATA}: {text!r}; allowed: JSON with block_size and concat") from None
    if type(size) is not int or size < 1 or type(concat) is not bool:
        raise InputError(
            f"{path}: block_size {size!r}, concat {concat!r}; allowed: a whole number from 1 on, and true or false"
        )
    return size, concat


def read_original_layers(path: StrPath) -> Layers:
    """Read the original code's list over layers of `{"q": weights, "k": weights}`; see `read_layers`."""
    content = read_torch(path)
    if not isinstance(content, list | tuple):
        raise InputError(
            f"{path}: holds a {type(content).__name__}; allowed: a list over layers of {{q: weights, k: weights}}"
        )
    return [
        (_side(entry, "q", f"{path}: layer {layer}"), _side(entry, "k", f"{path}: layer {layer}"))
        for layer, entry in enumerate(content)
    ]


def _side(entry: object, side: str, where: str) -> Weights:
    if not isinstance(entry, dict) or not isinstance(entry.get(side), dict):
        raise InputError(f"{where}: weights {side!r} are missing; allowed: a mapping with the weights q and k")
    for name, value in entry[side].items():
        if not isinstance(value, Tensor) or not value.is_floating_point():
            found = value.dtype if isinstance(value, Tensor) else type(value).__name__
            raise InputError(f"{where}: {side}.{name} is {found}; allowed: a tensor of floating-point numbers")
    return {str(name): value.detach().to(torch.float32).contiguous().clone() for name, value in entry[side].items()}
