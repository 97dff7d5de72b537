"""Shows values as YAML writes them, and guesses what a user meant by a value that is not allowed."""

from __future__ import annotations

import math
import re

LONGEST = 100
NUMBER = re.compile(r"([-+]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([-+]?[0-9]+))?")


def shown(value: object) -> str:
    """Return a value as YAML writes it, cut to about a hundred characters.

    Examples
    --------
    >>> shown([None, True, "a", float("inf")])
    "[null, true, 'a', .inf]"
    """
    text = _written(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def number_in_yaml(text: str) -> str | None:
    """Return the form in which YAML reads a text as a number; None when the text is not a number.

    Examples
    --------
    >>> number_in_yaml("5e-4"), number_in_yaml("1E3"), number_in_yaml(".5e-3"), number_in_yaml("many")
    ('5.0e-4', '1.0e+3', '0.5e-3', None)
    """
    found = NUMBER.fullmatch(text.strip())
    if not found or not (found[2] or found[3]):
        return None
    sign, part, exponent = found[1], found[3], found[4]
    whole = found[2].lstrip("0") or "0"
    if part is None and exponent is None:
        return f"{sign}{whole}"
    power = f"e{exponent if exponent[0] in '+-' else f'+{exponent}'}" if exponent else ""
    return f"{sign}{whole}.{part or 0}{power}"


def hint(value: object, kinds: list[str]) -> str:
    """Return how to correct `value` where one of the JSON types `kinds` is needed; empty when that is unclear."""
    if kinds == ["array"] and not isinstance(value, (list, dict, type(None))):
        one = value if isinstance(value, str) else _written(value)
        return f"for a list of one write [{one}]" if len(one) < LONGEST and one.isprintable() else ""
    if isinstance(value, str):
        return _hint_on_text(value, kinds)
    if isinstance(value, float) and not math.isfinite(value):
        return "it is not a finite number"
    if isinstance(value, bool):
        text = "YAML reads yes, no, on and off as true or false; to make it text write it in quotes"
        return text if "string" in kinds else ""
    if isinstance(value, (int, float)) and "string" in kinds:
        return f"it is a number; to make it text write {_written(str(value))} in quotes"
    if isinstance(value, float) and value.is_integer() and "integer" in kinds:
        return f"write {int(value)} without a point"
    return ""


def _hint_on_text(value: str, kinds: list[str]) -> str:
    number = number_in_yaml(value)
    if number and {"integer", "number"} & set(kinds):
        if "number" not in kinds and float(number).is_integer():
            number = str(int(float(number)))
        plain = re.fullmatch(r"[-+]?[0-9]+(\.[0-9]*)?|.*\.[0-9]*[eE][-+][0-9]+", value)
        return f"it is text, write {number} without quotes" if plain else f"YAML reads it as text, write {number}"
    if "boolean" in kinds and value.lower() in ("true", "false"):
        return f"it is text, write {value.lower()} without quotes"
    if "null" in kinds and value.lower() in ("none", "null", "nil"):
        return "write null"
    return ""


def _written(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else f"{'-' if value < 0 else ''}.inf"
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_written(item)}' for key, item in value.items())}}}"
    return repr(value)
