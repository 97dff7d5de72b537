"""Readable ids for the parameters of tests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np
import torch

LONGEST = 60


def readable(value: Any, argument: str) -> str:
    """Return a short text for a value, equal in every process.

    Raises
    ------
    ValueError
        When the value, such as a lambda or an object, has no such text and needs an explicit id.
    """
    text = re.sub(r"\s+", " ", _text_of(value, argument)).encode("unicode_escape").decode("ascii")
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _text_of(value: Any, argument: str) -> str:
    if isinstance(value, str):
        return value or "empty"
    if value is None or isinstance(value, bool | int | float | complex | np.generic):
        return str(value)
    if isinstance(value, PurePath):
        return value.name
    if isinstance(value, bytes):
        return repr(value)[2:-1] or "empty"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_text_of(k, argument)}: {_text_of(v, argument)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple | range):
        return "[" + ", ".join(_text_of(item, argument) for item in value) + "]"
    if isinstance(value, set | frozenset):
        return "{" + ", ".join(sorted(_text_of(item, argument) for item in value)) + "}"
    if isinstance(value, BaseException):
        return repr(value)
    if isinstance(value, torch.dtype | np.dtype):
        return str(value).removeprefix("torch.")
    name = str(getattr(value, "__qualname__", "<lambda>")).rpartition("<locals>.")[2]
    if name == "<lambda>":
        raise ValueError(f"the {argument} {value!r} has no readable name; give it an explicit id")
    return name
