"""Ids of parameters that say what is given."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np
import torch

LONGEST = 60


def readable(value: Any, argument: str) -> str:
    """Return a short text that is the same in every process.

    Raises
    ------
    ValueError
        When the value has no such text and must be named where it stands, as a lambda or an object.
    """
    text = re.sub(r"\s+", " ", _written(value, argument)).encode("unicode_escape").decode("ascii")
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _written(value: Any, argument: str) -> str:
    if isinstance(value, str):
        return value or "empty"
    if value is None or isinstance(value, bool | int | float | complex | np.generic):
        return str(value)
    if isinstance(value, PurePath):
        return value.name
    if isinstance(value, bytes):
        return repr(value)[2:-1] or "empty"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_written(k, argument)}: {_written(v, argument)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple | range):
        return "[" + ", ".join(_written(item, argument) for item in value) + "]"
    if isinstance(value, set | frozenset):
        return "{" + ", ".join(sorted(_written(item, argument) for item in value)) + "}"
    if isinstance(value, BaseException):
        return repr(value)
    if isinstance(value, torch.dtype | np.dtype):
        return str(value).removeprefix("torch.")
    name = str(getattr(value, "__qualname__", "<lambda>")).rpartition("<locals>.")[2]
    if name == "<lambda>":
        raise ValueError(f"the {argument} {value!r} has no readable name; give its id where it stands")
    return name
