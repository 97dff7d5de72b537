"""Reads and writes torch files and safetensors files without running any code in them."""

from __future__ import annotations

import io
import os
import pickle
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from sparse_attention.errors import InputError, reason
from sparse_attention.files.atomic import atomic_path
from sparse_attention.files.plain import require_file

StrPath = str | os.PathLike[str]


def read_torch(path: StrPath) -> Any:
    """Load a file of `torch.save` that holds only tensors, numbers, lists, tuples, and dicts with text as keys.

    No code in the file is run. Tensors stay on disk until they are used, where the file's format allows it.

    Raises
    ------
    InputError
        When the file is missing, truncated or not a torch file, or holds an object of another type, which is named.
    """
    path = require_file(path)
    with path.open("rb") as stream:
        mapped = stream.read(4) == b"PK\x03\x04"
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        found = re.search(r"(?:GLOBAL|class|Trying to call reduce for unrecognized function) ([\w.<>]+)", str(error))
        if found is None:
            raise InputError(f"{path}: not a file of torch.save, or damaged") from None
        raise InputError(
            f"{path}: holds {found[1]}; allowed: tensors, numbers, lists and dicts. Nothing in it was run"
        ) from None
    except Exception:  # damaged files raise all kinds of errors, with messages about the loader's internals
        raise InputError(f"{path}: truncated, damaged or not a file of torch.save") from None
    _check_plain(content, path)
    return content


def _check_plain(content: object, path: Path) -> None:
    """Raise `InputError` at the first object that is not a tensor, a number, or a list, tuple or dict of these."""
    waiting, seen = [("", content)], set()
    while waiting:
        place, value = waiting.pop()
        if id(value) in seen:  # an object may contain itself
            continue
        seen.add(id(value))
        if isinstance(value, dict):
            for key, item in value.items():
                if not isinstance(key, str):
                    text = f"a key of type {type(key).__name__} in {place or 'its dict'}"
                    raise InputError(f"{path}: {text}; allowed: strings")
                waiting.append((f"{place}[{key!r}]", item))
        elif isinstance(value, list | tuple):
            waiting += [(f"{place}[{index}]", item) for index, item in enumerate(value)]
        elif isinstance(value, torch.Tensor):
            _check_tensor(value, f"{path}: the tensor at {place or 'the top'}")
        elif not isinstance(value, int | float):
            text = f"holds a {type(value).__name__} at {place or 'the top'}"
            raise InputError(f"{path}: {text}; allowed: tensors, numbers, lists and dicts")


def _check_tensor(tensor: torch.Tensor, where: str) -> None:
    """Raise `InputError` for a tensor without numbers of its own: whoever used it would make room for all of them."""
    if tensor.layout != torch.strided or tensor.is_quantized:
        kind = "quantized" if tensor.is_quantized else str(tensor.layout).removeprefix("torch.")
        raise InputError(f"{where} is {kind}; allowed: dense numbers")
    if tensor.device.type != "cpu":
        raise InputError(f"{where} holds no numbers (device {tensor.device}); allowed: tensors with their numbers")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        text = f"has the shape {tuple(tensor.shape)}, but fewer numbers, which it repeats"
        raise InputError(f"{where} {text}; allowed: whole tensors, as .contiguous() makes them before they are saved")


def write_torch(value: object, path: StrPath) -> None:
    """Write `value` with `torch.save`; equal values give equal bytes, whatever the file's name."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    with atomic_path(path) as partial:
        partial.write_bytes(buffer.getvalue())


def is_safetensors(path: StrPath) -> bool:
    """Return whether a file is safetensors, by its first bytes: a header length of eight bytes, then JSON."""
    with open(require_file(path), "rb") as stream:
        return stream.read(9)[8:] == b"{"


def read_safetensors(path: StrPath) -> dict[str, torch.Tensor]:
    """Read every tensor of a safetensors file; raise `InputError` when it is missing or damaged."""
    require_file(path)
    try:
        with safe_open(path, framework="pt") as stream:
            return {name: stream.get_tensor(name) for name in sorted(stream.keys())}
    except Exception as error:  # a damaged header may name sizes and types that torch does not have
        raise InputError(f"{path}: is not a complete safetensors file: {reason(error)}") from None


def read_metadata(path: StrPath) -> dict[str, str]:
    """Read the metadata of a safetensors file, text by name; empty when it has none."""
    require_file(path)
    try:
        with safe_open(path, framework="pt") as stream:
            return dict(stream.metadata() or {})
    except Exception as error:  # a damaged header may name sizes and types that torch does not have
        raise InputError(f"{path}: is not a complete safetensors file: {reason(error)}") from None
