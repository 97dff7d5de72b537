"""Reads single values of the configuration by dotted keys, for plug-ins that name the values that they need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparse_attention.errors import InputError


def value_at(config: Mapping[str, Any], key: str, module: str) -> Any:
    """Return the value of a dotted key.

    Parameters
    ----------
    config : mapping
        The configuration.
    key : str
        The key, such as `figures.window`.
    module : str
        Dotted name of the module that needs the value, for the error message.

    Raises
    ------
    InputError
        When there is no such key.
    """
    value: Any = config
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise InputError(f"{module}: the configuration has no key {key}, which this module needs")
        value = value[part]
    return value
