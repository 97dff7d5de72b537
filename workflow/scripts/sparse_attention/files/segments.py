"""Path segments, `key~value` joined by `_`, name settings in paths; only this module writes and reads them.

A value ends at the first single underscore. An underscore within a value is doubled, except in the words of `PLAIN`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from sparse_attention.errors import InputError

# values whose underscore is not doubled: their paths were in use before underscores were doubled
PLAIN = ("as_published", "min_norm", "one_based", "zero_based")
_KEY = "[a-z][a-z0-9]*(?:_[a-z0-9]+)*"
_PAIR = re.compile(rf"({_KEY})~((?:{'|'.join(PLAIN)})(?=_(?!_)|$)|(?:[^_~/{{}}\x00-\x1f]|__)*)(?:_(?!$)|$)")


def segment(setting: Mapping[str, Any]) -> str:
    """Return a setting as one path segment, `key~value` joined by `_`.

    Values are true and false, None, numbers, text, and lists of these; a list of one value is written like the value.

    Raises
    ------
    InputError
        When a key or a value could not be read back from the path: a key that is not a lower-case word, a value with
        one of `~/{}` or a line break, or text that reads like a number, like true, false or None, or like a list.

    Examples
    --------
    >>> segment({"kind": "linear", "dim": 4, "shared": True})
    'kind~linear_dim~4_shared~true'
    >>> segment({"ramp": "zero_based", "score": "attention_rollout"})
    'ramp~zero_based_score~attention__rollout'
    """
    written = [(key, _text(value)) for key, value in setting.items()]
    for (key, text), value in zip(written, setting.values(), strict=True):
        if pairs(_joined([(key, text)])) != ((key, text),) or not _is_read_back(value):
            allowed = "keys of a-z, 0-9 and _; numbers, true, false, and other text without ~, /, { and }"
            raise InputError(f"{key}: {value!r} cannot be written in a path; allowed: {allowed}")
    whole = _joined(written)
    if pairs(whole) != tuple(written):
        allowed = "keys that do not continue the value before them"
        raise InputError(f"{whole}: cannot be read back from a path; allowed: {allowed}")
    return whole


@lru_cache(maxsize=4096)
def pairs(text: str) -> tuple[tuple[str, str], ...]:
    """Return the keys of a segment and their values as text; empty for a text without settings, such as `softmax`.

    Examples
    --------
    >>> pairs("distance~min_norm_sparsity~0.7")
    (('distance', 'min_norm'), ('sparsity', '0.7'))
    """
    found, place = [], 0
    while place < len(text):
        pair = _PAIR.match(text, place)
        if pair is None:
            return ()
        key, value = pair.groups()
        found.append((key, value if value in PLAIN else value.replace("__", "_")))
        place = pair.end()
    return tuple(found)


def parse_segment(text: str) -> dict[str, Any]:
    """Return the setting that `segment` wrote; empty for a text without settings, such as `all`.

    Raises
    ------
    InputError
        When there is a `~` but no setting can be read.

    Examples
    --------
    >>> parse_segment("bucket_size~4_temperature~0.5_ramp~zero_based")
    {'bucket_size': 4, 'temperature': 0.5, 'ramp': 'zero_based'}
    """
    found = pairs(text)
    if "~" in text and not found:
        raise InputError(f"{text}: not a path segment; allowed: key~value, joined by _")
    return {key: _value(value) for key, value in found}


def without(text: str, key: str) -> str:
    """Return a segment without one of its keys.

    Examples
    --------
    >>> without("mode~threshold_lambda~0.3_final~0.1", "lambda")
    'mode~threshold_final~0.1'
    """
    return _joined((name, value) for name, value in pairs(text) if name != key) if pairs(text) else text


@functools.cache
def block_size_of(projection: str) -> int:
    """Return the block size in a projection's path segment, 1 when it has none.

    Examples
    --------
    >>> block_size_of("kind~none_block_size~4")
    4
    """
    return int(parse_segment(projection).get("block_size", 1))


def alpha_of(attention: str) -> float:
    """Return the alpha of `entmax~A`, and 1 for softmax."""
    return float(parse_segment(attention).get("entmax", 1.0))


def _joined(written: Iterable[tuple[str, str]]) -> str:
    return "_".join(f"{key}~{value if value in PLAIN else value.replace('_', '__')}" for key, value in written)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(_text, value))
    if isinstance(value, float) and float(f"{value:g}") == value:
        return f"{value:g}"
    return str(value)


def _value(text: str) -> Any:
    """Return the value that `_text` wrote; numbers in any other form, such as `1_000` or `+4`, stay text."""
    if "," in text:
        return [_value(part) for part in text.split(",")]
    if text in ("true", "false", "None"):
        return {"true": True, "false": False, "None": None}[text]
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        if _text(number) == text:
            return number
    return text


def _is_read_back(value: Any) -> bool:
    expected = value[0] if isinstance(value, list) and len(value) == 1 else value
    return bool(_value(_text(value)) == expected)
