"""Checks a configuration before any job starts: every error at once, each with file, key, value and what is allowed."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from sparse_attention.config_checks import SELECTIONS, Problem, cross_checks, nearest
from sparse_attention.data.sources.path import resolve
from sparse_attention.errors import InputError
from sparse_attention.grids import as_list
from sparse_attention.predictors.registry import discover

SCHEMA = Path(__file__).parents[2] / "schemas" / "config.schema.yaml"


@dataclass(frozen=True)
class Source:
    """A data set that the run retrieves: its name, version and registry entry."""

    name: str
    version: str
    entry: dict[str, Any]

    def local_files(self) -> list[str]:
        """Return the user's own files, so that editing one re-runs what depends on it."""
        source = self.entry["source"]
        return [str(file) for file in resolve(source["path"])[1]] if source["type"] == "path" else []


def selected_dataset(config: dict[str, Any], registry: dict[str, Any], selection: str) -> Source:
    """Return the source of the selected `corpus`, `model` or `code`; a path becomes an entry of its own."""
    section, kind = SELECTIONS[selection]
    name = config[selection]
    entry = config[section].get(name) or {}
    training = {"model": "train_mlm", "classifier": "train_classifier"}.get(selection)
    trained = config[training]["source"] if training else None
    path = trained or entry.get("path")
    if path:
        entry = {"kind": kind, "version": "local", "source": {"type": "path", "path": path}}
        # a corpus and a model may share a name, and so may a language model and a classifier
        return Source(f"{name}-{selection if trained and selection != 'model' else kind}", "local", entry)
    return Source(entry["dataset"], str(registry[entry["dataset"]]["version"]), registry[entry["dataset"]])


def code_entry(config: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of the selected code corpus, without where it comes from."""
    entry = config["code_corpora"][config["code"]]
    return {name: value for name, value in entry.items() if name not in ("dataset", "path")}


def dump_files(config: dict[str, Any]) -> dict[str, str]:
    """Return the named input files of a query/key dump: `dump`, or `train` and `validation`."""
    source = config["extract_qk"]["source"]
    files = source if isinstance(source, dict) else {"dump": source}
    return {name: str(Path(path).expanduser()) for name, path in files.items()}


def validate(config: dict[str, Any], files: list[str], registry: dict[str, Any], folder: Path) -> None:
    """Check a merged configuration.

    Parameters
    ----------
    config : dict
        The configuration after all overlays.
    files : list of str
        The files it came from, later ones winning; they are named in the errors.
    registry : dict
        Data set entries by name, the user's own included.
    folder : Path
        The folder that relative paths start from.

    Raises
    ------
    InputError
        With one line for every problem found.
    """
    problems = list(dict.fromkeys(_schema_problems(config)))
    for check in cross_checks(config, registry, folder):
        # what the schema refused may stop a check that builds on it; the rest of the checks still count
        with contextlib.suppress(*((KeyError, TypeError, AttributeError, ValueError) if problems else ())):
            problems.extend(check)
    if problems:
        sources = [(file, yaml.safe_load(Path(file).read_text(encoding="utf-8")) or {}) for file in files]
        lines = [f"  {_origin(key, sources)}{dotted(key)}: {text}" for key, text in problems]
        raise InputError("the configuration cannot be used:", *lines)


def dotted(key: tuple[Any, ...]) -> str:
    """Return a key path as text: `evaluate.windows[2]`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
    return text.lstrip(".") or "(top level)"


def _origin(key: tuple[Any, ...], sources: list[tuple[str, Any]]) -> str:
    for file, content in reversed(sources):
        found = content
        for part in key:
            try:
                found = found[part]
            except (KeyError, IndexError, TypeError):
                break
        else:
            return f"{file}: "
    return ""


@functools.cache
def _schema() -> dict[str, Any]:
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    settings = {}
    for info in discover().values():
        values = {
            # a list is a grid, also where one value may be a list
            key: {"oneOf": [{**value, "not": {"type": "array"}}, _grid_of(value)]}
            for key, value in info.parameters.items()
        }
        settings[info.name] = {
            "type": ["object", "null"],
            "additionalProperties": False,
            "properties": values,
            "required": list(values),
        }
    schema["properties"]["predictors"] = {
        "type": "object", "additionalProperties": False, "properties": settings, "minProperties": 1,
    }  # fmt: skip
    return schema


def _grid_of(value: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "uniqueItems": True, "items": value}


def _schema_problems(config: dict[str, Any]) -> Iterator[Problem]:
    for error in jsonschema.Draft202012Validator(_schema()).iter_errors(config):
        yield from _explain(error)


def _explain(error: Any) -> Iterator[Problem]:
    key, schema, rule, instance = tuple(error.absolute_path), error.schema, error.validator_value, error.instance
    if error.validator == "additionalProperties":
        known = list(schema.get("properties", {}))
        for name in sorted(set(instance) - set(known)):
            yield (*key, name), f"no such key; {nearest(name, known)}"
    elif error.validator == "required":
        # one error comes for every missing key, and none says which: name them all, the caller drops repeats
        yield from (((*key, name), "is missing") for name in rule if name not in instance)
    elif error.validator == "oneOf":
        yield key, _explain_alternatives(error)
    else:
        yield key, f"{instance!r} is not allowed; allowed: {_allowed(schema)}"


def _explain_alternatives(error: Any) -> str:
    options = [_allowed(option) for option in error.validator_value]
    return f"{error.instance!r} is not allowed; allowed: {', or '.join(options)}"


def _allowed(schema: dict[str, Any]) -> str:
    """Say in words what a schema of one value allows."""
    if "$ref" in schema:
        schema = _schema()["$defs"][schema["$ref"].split("/")[-1]]
    if "description" in schema:
        return schema["description"]
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "pattern" in schema:
        return f"text like {schema['pattern']}"
    if schema.get("type") == "array":
        items = _allowed(schema.get("items", {}))
        return f"a list without repeats, each {items}" if schema.get("uniqueItems") else f"a list, each {items}"
    kinds = {"integer": "a whole number", "number": "a number", "boolean": "true | false", "string": "a text",
             "object": "a mapping with " + ", ".join(schema.get("properties", {})), "null": "null"}  # fmt: skip
    words = " or ".join(kinds.get(kind, kind) for kind in as_list(schema.get("type", "number")))
    limits = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    bounds = [f"{word} {schema[limit]:g}" for limit, word in limits.items() if limit in schema]
    return " ".join([words, " and ".join(bounds)]).strip()
