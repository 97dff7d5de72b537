"""Path segments, `key~value` joined by `_`: how settings are named in paths."""

from __future__ import annotations

import re
from typing import Any

_PAIR = re.compile(r"([a-z][a-z_]*?)~([^_]+)(?:_|$)")


def segment(setting: dict[str, Any]) -> str:
    """Return a setting as one path segment, `key~value` joined by `_`.

    Examples
    --------
    >>> segment({"kind": "linear", "dim": 4, "shared": True})
    'kind~linear_dim~4_shared~true'
    """
    return "_".join(f"{key}~{_text(value)}" for key, value in setting.items())


def parse_segment(text: str) -> dict[str, Any]:
    """Return the setting that `segment` wrote, of values without an underscore.

    Examples
    --------
    >>> parse_segment("bucket_size~4_temperature~0.5")
    {'bucket_size': 4, 'temperature': 0.5}
    """
    return {key: _value(value) for key, value in _PAIR.findall(text)}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(_text, value))
    if isinstance(value, float) and float(f"{value:g}") == value:
        return f"{value:g}"
    return str(value)


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def block_size_of(projection: str) -> int:
    """Return the tokens per position of a projection's path segment.

    Examples
    --------
    >>> block_size_of("kind~none_block_size~4")
    4
    """
    return int(parse_segment(projection).get("block_size", 1))


def alpha_of(attention: str) -> float:
    """Return the alpha of `entmax~A`, and 1 for softmax."""
    return float(parse_segment(attention).get("entmax", 1.0))
