"""The registry of data sets and models: `config/datasets.yaml` and the user's own entries, checked before any job."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from sparse_attention.errors import InputError

SCHEMA = Path(__file__).parents[3] / "schemas" / "datasets.schema.yaml"


def load_registry(file: Path, extra: dict[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """Return the entries of the registry `file` by name; those in `extra` (the config's `datasets`) add or replace.

    Raises
    ------
    InputError
        With one line for every problem: file, dotted key, what is wrong.
    """
    try:
        shipped = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        raise InputError(f"{file}: no such file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: not YAML: {error}") from None
    extra = extra or {}
    problems = [*problems_of(shipped, f"{file}: "), *problems_of(extra, "", ("datasets",))]
    if problems:
        raise InputError("the registry of data sets cannot be used:", *[f"  {line}" for line in problems])
    return {**shipped, **extra}


def problems_of(entries: Any, origin: str, key: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield one line for each thing in `entries` that the schema or common sense refuses."""
    found = False
    for error in jsonschema.Draft202012Validator(_schema()).iter_errors(entries):
        found = True
        yield f"{origin}{_dotted((*key, *error.absolute_path))}: {_message(error)}"
    if not found:
        for name, entry in entries.items():
            for problem in _file_problems(entry.get("files", [])):
                yield f"{origin}{_dotted((*key, name, 'files'))}: {problem}"


@functools.cache
def _schema() -> dict[str, Any]:
    return yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))


def _dotted(key: tuple[Any, ...]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
    return text.lstrip(".") or "(top level)"


def _message(error: jsonschema.ValidationError) -> str:
    if error.validator == "oneOf" and isinstance(error.instance, dict):
        definitions = _schema()["$defs"]
        kinds = [kind for kind in definitions if "const" in definitions[kind].get("properties", {}).get("type", {})]
        kind = error.instance.get("type")
        if kind not in kinds:
            return f"type {kind!r} is not allowed; allowed: {', '.join(kinds)}"
        validator = jsonschema.Draft202012Validator({**definitions[kind], "$defs": definitions})
        inner = next(validator.iter_errors(error.instance))
        return f"{_dotted(tuple(inner.absolute_path))}: {inner.message}" if inner.absolute_path else inner.message
    return error.message


def _file_problems(files: list[dict[str, Any]]) -> Iterator[str]:
    names = [record.get("name") or record["path"].rsplit("/", 1)[-1] for record in files]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"two files would be called {name!r}; allowed: names of their own (key name)"
    for name in names:
        if name.startswith("/") or ".." in Path(name).parts:
            yield f"{name!r} leaves the data set's folder; allowed: relative names"
