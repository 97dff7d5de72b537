"""Checks a configuration before any job starts: every error at once, each with file, key, value and what is allowed."""

from __future__ import annotations

import contextlib
import difflib
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from sparse_attention.data.sources.path import resolve
from sparse_attention.errors import InputError
from sparse_attention.grids import as_list, entmax_attentions
from sparse_attention.predictors.registry import discover

SCHEMA = Path(__file__).parents[2] / "schemas" / "config.schema.yaml"
SELECTIONS = {
    "corpus": ("corpora", "text"),
    "model": ("models", "model"),
    "code": ("code_corpora", "code"),
    "classifier": ("models", "model"),
}
"""Of each key that selects something: the section it selects from, and the kind that this is."""
Problem = tuple[tuple[Any, ...], str]


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
    for check in (_selection_problems(config, registry), _range_problems(config), _path_problems(config, folder)):
        # what the schema refused may stop a check that builds on it; the rest of the checks still count
        with contextlib.suppress(*((KeyError, TypeError, AttributeError, ValueError) if problems else ())):
            problems.extend(check)
    if problems:
        sources = [(file, yaml.safe_load(Path(file).read_text(encoding="utf-8")) or {}) for file in files]
        lines = [f"  {_origin(key, sources)}{dotted(key)}: {text}" for key, text in problems]
        raise InputError("\n".join(["the configuration cannot be used:", *lines]))


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


def nearest(name: str, allowed: Any) -> str:
    """Return a hint that names the allowed name nearest to `name`, or all of them when none is near."""
    names = [str(item) for item in allowed]
    match = difflib.get_close_matches(str(name), names, n=1, cutoff=0.6)
    return f"did you mean {match[0]}?" if match else f"allowed: {', '.join(names)}"


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


def _dump_problems(config: dict[str, Any]) -> Iterator[Problem]:
    source = config["extract_qk"]["source"]
    if config["corpus"] in config["corpora"]:
        yield ("corpus",), f"{config['corpus']!r} is one of corpora; allowed with extract_qk.source: a name of its own"
    if len(entmax_attentions(config)) > 1:
        yield ("attentions",), "a dump has one attention; allowed with extract_qk.source: exactly one entmax~A"
    if isinstance(source, dict) and Path(source["train"]).resolve() == Path(source["validation"]).resolve():
        yield ("extract_qk", "source"), f"{source['train']} is both; allowed: two files without common documents"


def _selecting(config: dict[str, Any]) -> list[str]:
    """Return the keys that select what is retrieved: a dump or a trained model of the user's replaces some of it."""
    replaced = {
        "corpus": config["extract_qk"]["source"],
        "model": config["extract_qk"]["source"] or config["train_mlm"]["source"],
        "classifier": config["code"] is None or config["train_classifier"]["source"],
    }
    return [name for name in SELECTIONS if not replaced.get(name) and config[name] is not None]


def _selection_problems(config: dict[str, Any], registry: dict[str, Any]) -> Iterator[Problem]:
    for selection in _selecting(config):
        section, kind = SELECTIONS[selection]
        name, entries = config[selection], {key: value for key, value in config[section].items() if value}
        if name not in entries:
            yield (selection,), f"{name!r} is not in {section}; {nearest(name, entries)}"
            continue
        entry = entries[name]
        if ("dataset" in entry) == ("path" in entry):
            yield (section, name), "needs either dataset or path, and not both"
        elif "dataset" in entry:
            dataset = entry["dataset"]
            if dataset not in registry:
                yield (section, name, "dataset"), f"{dataset!r} is not in datasets; {nearest(dataset, registry)}"
            elif registry[dataset]["kind"] != kind:
                yield (section, name, "dataset"), f"{dataset!r} is a {registry[dataset]['kind']}; allowed: a {kind}"
    if not entmax_attentions(config):
        yield ("attentions",), "softmax alone has no support to predict; allowed: at least one entmax~A"
    if config["extract_qk"]["source"]:
        yield from _dump_problems(config)
    elif config["train_mlm"]["source"] and config["model"] in config["models"]:
        yield ("model",), f"{config['model']!r} is one of models; allowed with train_mlm.source: a name of its own"
    heatmap = config["figures"]["heatmap"]["predictor"]
    active = [name for name, grid in config["predictors"].items() if grid is not None]
    if heatmap not in active:
        yield ("figures", "heatmap", "predictor"), f"{heatmap!r} is not among predictors; {nearest(heatmap, active)}"
    for drawn, evaluated in (("window", "windows"), ("keep", "keep")):
        value, allowed = config["figures"][drawn], config["evaluate"][evaluated]
        if value not in allowed:
            text = f"{value} is not in evaluate.{evaluated}; allowed: {', '.join(map(str, allowed))}"
            yield ("figures", drawn), text


def _range_problems(config: dict[str, Any]) -> Iterator[Problem]:
    for section in ("prepare", "prepare_code"):
        split = config[section]["split"]
        if abs(split["train"] + split["validation"] + split["test"] - 1) > 1e-9:
            yield (section, "split"), "train, validation and test must sum to 1"
    most = config["prepare_code"]["max_lines"]
    if most is not None and config["prepare_code"]["min_lines"] > most:
        yield ("prepare_code", "min_lines"), f"{config['prepare_code']['min_lines']} is above prepare_code.max_lines"
    if config["blocks"]["min_length"] > config["blocks"]["length"]:
        yield ("blocks", "min_length"), f"{config['blocks']['min_length']} is above blocks.length"
    for position, window in enumerate(config["evaluate"]["windows"]):
        if window and window % 2 == 0:
            yield ("evaluate", "windows", position), f"{window} is even; allowed: 0 or odd numbers, they are centred"
    anneal = config["train_mlm"]["anneal"]
    if (anneal["start"] is None) != (anneal["steps"] == 0):
        yield ("train_mlm", "anneal"), "start and steps belong together; allowed: both, or start null and steps 0"
    for name, grid in config["predictors"].items():
        if grid:
            yield from _grid_problems(name, grid)
    for position, entry in enumerate(config["projections"]):
        yield from _projection_problems(("projections", position), entry)


def _projection_problems(key: tuple[Any, ...], entry: dict[str, Any]) -> Iterator[Problem]:
    """Check that an entry has what its kind takes."""
    kind, concat = entry["kind"], entry.get("concat", False)
    needed = {"linear": {"dim"}, "mlp": {"dim", "hidden"}, "none": set()}[kind]
    if set(entry) - {"kind", "shared", "block_size", "concat"} != needed:
        wanted = ", ".join(sorted(needed)) or "nothing"
        yield key, f"kind {kind} takes {wanted} beside kind, shared, block_size and concat"
    if concat and kind == "none":
        yield (*key, "concat"), "true; allowed with kind none: false, there is no map that would take both"
    if concat and False in as_list(entry.get("shared", True)):
        yield (*key, "shared"), "false; allowed with concat: true, it is one map of both sides"


def _grid_problems(name: str, grid: dict[str, Any]) -> Iterator[Problem]:
    """Check the settings of a predictor that bound each other."""
    info = discover()[name]
    for smaller, larger in info.at_most.items():
        if max(as_list(grid[smaller])) > min(as_list(grid[larger])):
            text = f"{max(as_list(grid[smaller]))} is above {larger} {min(as_list(grid[larger]))}"
            yield ("predictors", name, smaller), f"{text}; allowed: at most the least {larger}"
    for divisor, multiple in info.divides.items():
        wrong = [(d, m) for d in as_list(grid[divisor]) for m in as_list(grid[multiple]) if m % d]
        if wrong:
            text = f"{wrong[0][0]} does not divide {multiple} {wrong[0][1]}"
            yield ("predictors", name, divisor), f"{text}; allowed: divisors of every {multiple}"


def _path_problems(config: dict[str, Any], folder: Path) -> Iterator[Problem]:
    given: list[tuple[tuple[Any, ...], str | None]] = []
    for section in ("train_mlm", "train_classifier", "extract_qk", "fit_projections", "fit_clusters"):
        source = config[section]["source"]
        parts = source.items() if isinstance(source, dict) else [(None, source)]
        given += [((section, "source", *filter(None, [part])), path) for part, path in parts]
    for selection in _selecting(config):
        section = SELECTIONS[selection][0]
        entry = config[section].get(config[selection]) or {}
        given.append(((section, config[selection], "path"), entry.get("path")))
    for key, path in given:
        if path is not None:
            try:
                resolve(str(folder / Path(path).expanduser()))
            except InputError as error:
                yield key, f"{path}: {str(error).rpartition(': ')[2]}"
