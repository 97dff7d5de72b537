"""Checks settings against a JSON schema, and says in plain words what is wrong and what is allowed."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import yaml

from sparse_attention.files.yaml_values import LONGEST, hint, shown

DECIDING = ("mode", "type")
"""Keys whose values decide which other keys are allowed."""
MISSING = "is missing"


class Problem(NamedTuple):
    """A mistake at one key: the key's path, what is wrong, and other keys that it has to do with."""

    key: tuple[Any, ...]
    text: str
    others: tuple[tuple[Any, ...], ...] = ()


def nearest(name: str, allowed: Iterable[Any]) -> str:
    """Return a hint with the allowed name that is most similar to `name`, or with all when none is similar."""
    names = [str(item) for item in allowed]
    match = difflib.get_close_matches(name[:LONGEST], names, n=1, cutoff=0.6)
    return f"did you mean {match[0]}?" if match else f"allowed: {', '.join(names)}"


def read_schema(file: Path) -> dict[str, Any]:
    """Return the content of one of the workflow's schemas."""
    content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return content


class Schema:
    """A JSON schema that refuses infinite numbers, and floats such as 1.0 as whole numbers.

    Infinity is allowed where the schema of a number says `infinite: true`.
    """

    def __init__(self, content: dict[str, Any]) -> None:
        self.definitions = content.get("$defs", {})
        self.content = content
        self.validator = _Validator(content)

    def problems(self, instance: Any) -> list[Problem]:
        """Return the problems of `instance`, each once."""
        names = list(_keys_without_text(instance))
        if names:
            return names
        found = list(
            dict.fromkeys(problem for error in self.validator.iter_errors(instance) for problem in self._explain(error))
        )
        refused = {one.key for one in found if one.text != MISSING}
        # keys cannot be called missing when the key that decides which are needed is itself wrong
        return [
            one for one in found if one.text != MISSING or not refused & {(*one.key[:-1], name) for name in DECIDING}
        ]

    def fits(self, key: tuple[Any, ...], value: Any) -> bool:
        """Return whether the schema allows `value` at `key`; at an unknown key it allows anything."""
        options = self._at(key)
        return not options or any(self.validator.evolve(schema=option).is_valid(value) for option in options)

    def allowed(self, key: tuple[Any, ...]) -> str:
        """Return in words what is allowed at `key`; nothing where the schema only says which keys are below it."""
        options = self._at(key)
        return self._allowed_alternatives(options) if options and "properties" not in options[0] else ""

    def _at(self, key: tuple[Any, ...]) -> list[dict[str, Any]]:
        options = [self.content]
        for part in key:
            options = [
                following
                for option in options
                for single in self._alternatives(option)
                if isinstance(following := _step(single, part), dict)
            ]
        return options

    def _alternatives(self, schema: dict[str, Any]) -> list[dict[str, Any]]:
        if "$ref" in schema:
            return self._alternatives(self.definitions[schema["$ref"].split("/")[-1]])
        if "oneOf" in schema:
            return [single for option in schema["oneOf"] for single in self._alternatives(option)]
        return [schema]

    def _explain(self, error: Any) -> Iterator[Problem]:
        key, schema, rule, instance = tuple(error.absolute_path), error.schema, error.validator_value, error.instance
        if error.validator == "additionalProperties":
            known = list(schema.get("properties", {}))
            for name in sorted(set(instance) - set(known)):
                text = "write a space after the colon" if ":" in name else nearest(name, known)
                yield Problem((*key, name), f"no such key; {text}")
        elif error.validator == "required":
            # there is one error for each missing key, but it does not name the key: name all, repeats are dropped later
            yield from (Problem((*key, name), MISSING) for name in rule if name not in instance)
        elif error.validator == "oneOf":
            yield from self._explain_alternatives(key, error)
        elif "propertyNames" in error.absolute_schema_path:
            yield Problem((*key, instance), f"not allowed as a name; allowed: {self._allowed(schema)}")
        else:
            yield Problem(key, self._refused(instance, schema))

    def _explain_alternatives(self, key: tuple[Any, ...], error: Any) -> Iterator[Problem]:
        """Yield the problems of the alternative that was meant, or one that says what all alternatives allow."""
        inner: dict[int, list[Any]] = {}
        for one in error.context:
            inner.setdefault(one.schema_path[0], []).append(one)
        meant = [errors for errors in inner.values() if not any(map(_of_another_kind, errors))]
        name, allowed = self._deciding({"oneOf": error.validator_value})
        if len(meant) == 1:
            for one in meant[0]:
                yield from self._explain(one)
        elif allowed and isinstance(error.instance, dict):
            value = error.instance.get(name)
            text = f"{shown(value)} is not allowed;" if name in error.instance else f"{MISSING};"
            yield Problem((*key, name), f"{text}{_near(value, allowed)} allowed: {', '.join(allowed)}")
        else:
            yield Problem(key, self._refused(error.instance, {"oneOf": error.validator_value}))

    def _deciding(self, schema: dict[str, Any]) -> tuple[str, list[str]]:
        """Return the key that decides between the alternatives, and its values; empty when there is none."""
        for name in DECIDING:
            options = [option.get("properties", {}).get(name, {}) for option in self._alternatives(schema)]
            if all("const" in option for option in options):
                return name, [option["const"] for option in options]
        return "", []

    def _refused(self, instance: Any, schema: dict[str, Any]) -> str:
        """Return a message that a value is not allowed, what may have been meant, and what is allowed."""
        options = self._alternatives(schema)
        names = [str(name) for option in options for name in option.get("enum", ())]
        meant = hint(instance, [kind for option in options for kind in _kinds(option)])
        remark = _near(instance, names) or (f" {meant};" if meant else "")
        return f"{shown(instance)} is not allowed;{remark} allowed: {self._allowed(schema)}"

    def _allowed(self, schema: dict[str, Any]) -> str:
        """Return in words what the schema of one value allows."""
        if "$ref" in schema:
            schema = self.definitions[schema["$ref"].split("/")[-1]]
        kinds, remark = schema.get("type"), schema.get("description")
        if "oneOf" in schema:
            return self._allowed_alternatives(schema["oneOf"])
        if remark and kinds not in ("integer", "number", "boolean"):
            return str(remark)
        if "enum" in schema:
            words = " | ".join(map(str, schema["enum"]))
        elif kinds == "array":
            words = f"{_list_of(schema)}, each {self._allowed(schema.get('items', {}))}"
        else:
            words = _in_words(_kinds(schema), schema)
        return f"{words} ({remark})" if remark else words

    def _allowed_alternatives(self, options: list[dict[str, Any]]) -> str:
        words: list[str] = []
        for option in options:
            items = self._allowed(option.get("items", {})) if option.get("type") == "array" else None
            words.append(_list_of(option, "of these") if items and items in words else self._allowed(option))
        return ", or ".join(words)


def _keys_without_text(value: Any, key: tuple[Any, ...] = ()) -> Iterator[Problem]:
    """Yield a problem for each key that is not text, because schemas can only compare text."""
    if isinstance(value, dict):
        for name, item in value.items():
            if not isinstance(name, str):
                yield Problem((*key, str(name)), f"its key is {shown(name)}; allowed: text")
            yield from _keys_without_text(item, (*key, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _keys_without_text(item, (*key, index))


def _finite(validator: Any, kinds: Any, instance: Any, schema: dict[str, Any]) -> Iterator[Any]:
    """Refuse NaN and infinity: no limit refuses NaN, because comparisons with it are false."""
    if isinstance(instance, float) and not math.isfinite(instance):
        if not (math.isinf(instance) and schema.get("infinite")):
            yield jsonschema.ValidationError("not finite")
    else:
        yield from jsonschema.Draft202012Validator.VALIDATORS["type"](validator, kinds, instance, schema)


_Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    {"type": _finite},
    # 1000.0 would stay a float and fail later, where only an integer can be used
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)


def _step(schema: dict[str, Any], part: Any) -> Any:
    if isinstance(part, int):
        return schema.get("items")
    return schema.get("properties", {}).get(part, schema.get("additionalProperties"))


def _kinds(schema: dict[str, Any]) -> list[str]:
    kinds = schema.get("type", "string" if "enum" in schema and isinstance(schema["enum"][0], str) else "number")
    return [kinds] if isinstance(kinds, str) else list(kinds)


def _of_another_kind(error: Any) -> bool:
    """Return whether an error rules its alternative out: the value has another type, or is another alternative."""
    if error.validator == "const":
        return True
    return not error.relative_path and error.validator in ("type", "not", "enum")


def _near(value: Any, allowed: list[str]) -> str:
    found = nearest(value, allowed) if isinstance(value, str) and allowed else ""
    return f" {found}" if found.endswith("?") else ""


def _list_of(schema: dict[str, Any], what: str = "") -> str:
    least = "of at least one value" if schema.get("minItems") == 1 else ""
    return " ".join(filter(None, ["a list", what or least, "without repeats" if schema.get("uniqueItems") else ""]))


def _in_words(kinds: list[str], schema: dict[str, Any]) -> str:
    keys = ", ".join(schema.get("properties", {}))
    words = {
        "integer": "a whole number", "number": "a number", "boolean": "true | false", "null": "null",
        "array": "a list",
        "string": "a text that is not empty" if schema.get("minLength") else "a text",
        "object": f"a mapping with {keys}" if keys else "a mapping",
    }  # fmt: skip
    limits = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    bounds = [f"{word} {schema[limit]}" for limit, word in limits.items() if limit in schema]
    most = " or ".join(words.get(kind, kind) for kind in kinds if kind != "null")
    limited = " ".join(filter(None, [most, " and ".join(bounds)]))
    return ", or ".join(filter(None, [limited, "null" if "null" in kinds else ""]))
