"""Checks a configuration before any job starts, and finds the data sets that it selects."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparse_attention.data.registry import own_files, why_stale
from sparse_attention.data.sources.path import stamp, watchable
from sparse_attention.errors import InputError
from sparse_attention.files.yaml import dotted
from sparse_attention.jobs.plugins import Plugin
from sparse_attention.predictors.registry import PredictorInfo, discover
from sparse_attention.pruning.scores import registry as scores
from sparse_attention.settings.checks import SELECTIONS, cross_checks
from sparse_attention.settings.checks_of_effect import READERS, empty_overlays
from sparse_attention.settings.checks_of_models import TRAINED_BY
from sparse_attention.settings.command_line import read_settings
from sparse_attention.settings.ladders import LADDERS
from sparse_attention.settings.origins import Origins
from sparse_attention.settings.schema import MISSING, Problem, Schema, read_schema
from sparse_attention.settings.sparse_points import SECTIONS

SCHEMA = Path(__file__).parents[3] / "schemas" / "config.schema.yaml"


@dataclass(frozen=True)
class Source:
    """A data set or model that the run retrieves: its name, version and registry entry."""

    name: str
    version: str
    entry: dict[str, Any]

    @property
    def receipt(self) -> str:
        """The path of the receipt that the rule `retrieve` writes."""
        return f"resources/{self.name}/{self.version}/receipt.json"

    @property
    def retrieved(self) -> dict[str, Any]:
        """The entry without `dimensions`, which no job reads, so that adding them retrieves nothing anew."""
        return {key: value for key, value in self.entry.items() if key != "dimensions"}

    def local_files(self) -> list[str]:
        """Return the user's own files that Snakemake can watch, so that editing one re-runs what depends on it."""
        return watchable(self._own())

    def unwatched(self) -> str:
        """Return a digest of the user's own files that Snakemake cannot watch; it changes when they change."""
        return stamp(self._own())

    def why_stale(self) -> str | None:
        """Return why the receipt on disk does not belong to this source; None when it does, or when there is none."""
        return why_stale(Path(self.receipt), self.name, self.entry)

    def _own(self) -> list[Path]:
        source = self.entry["source"]
        return own_files(self.entry)[1] if source["type"] == "path" else []


def selected_dataset(config: dict[str, Any], registry: dict[str, Any], selection: str) -> Source:
    """Return the source that `corpus`, `model`, `code` or `classifier` selects; a path becomes an entry of its own."""
    section, kind = SELECTIONS[selection]
    name = config[selection]
    entry = config[section].get(name) or {}
    training = TRAINED_BY.get(selection)
    trained = config[training]["source"] if training else None
    path = trained or entry.get("path")
    if path:
        entry = _own_entry(kind, path)
        if trained:
            entry["source"]["trained"] = True
        # the suffix keeps apart a corpus and a model, or a language model and a classifier, of the same name
        return Source(f"{name}-{selection if trained and selection != 'model' else kind}", "local", entry)
    return Source(entry["dataset"], str(registry[entry["dataset"]]["version"]), registry[entry["dataset"]])


def own_settings(config: dict[str, Any], selection: str) -> dict[str, Any]:
    """Return the settings of the selected `corpus` or `code` without its data set or path."""
    entry = config[SELECTIONS[selection][0]][config[selection]]
    return {name: value for name, value in entry.items() if name not in ("dataset", "path")}


def reader_module(config: dict[str, Any], selection: str) -> str:
    """Return the reader's module for the selected `corpus` or `code`, for the digest of the job that prepares it."""
    return READERS[SELECTIONS[selection][0]]()[own_settings(config, selection)["format"]].module


def imported(config: dict[str, Any]) -> dict[str, Source]:
    """Return the user's own results to import: `dump`, or `train` and `validation`; `projections`; `clusters`."""
    dump = config["extract_qk"]["source"]
    paths = {
        **(dump if isinstance(dump, dict) else {"dump": dump}),
        "projections": config["fit_projections"]["source"],
        "clusters": config["fit_clusters"]["source"],
    }
    # the name has the corpus, because results of one corpus do not fit another one
    return {
        name: Source(f"{config['corpus']}-{name}", "local", _own_entry(name, path))
        for name, path in paths.items()
        if path is not None
    }


def bundle(config: dict[str, Any], registry: dict[str, Any]) -> Source | None:
    """Return the bundle of results that the run starts from, or None."""
    start = config["start_from"]
    if not start:
        return None
    if "dataset" in start:
        entry = registry[start["dataset"]]
        return Source(start["dataset"], str(entry["version"]), entry)
    return Source("bundle", "local", _own_entry("archive", start["path"]))


def _own_entry(kind: str, path: str) -> dict[str, Any]:
    return {"kind": kind, "version": "local", "source": {"type": "path", "path": path}}


def command_line_settings(arguments: list[str], config: dict[str, Any]) -> dict[str, Any]:
    """Return the settings in the arguments of `--config`, without those of a workflow that includes this one."""
    return {name: value for name, value in read_settings(arguments, schema()).items() if name in config}


def validate(config: dict[str, Any], origins: Origins, registry: dict[str, Any], folder: Path) -> None:
    """Check a merged configuration.

    Parameters
    ----------
    config : dict
        The configuration after all overlays.
    origins : Origins
        The files that its values come from, which errors name.
    registry : dict
        Data set entries by name, the user's own included.
    folder : Path
        The folder that relative paths start from.

    Raises
    ------
    InputError
        With one line for every problem found.
    """
    problems = [*schema().problems(config), *empty_overlays(config, origins)]
    refused = [problem.key for problem in problems]
    for check in cross_checks(config, registry, folder):
        # a value that the schema refused may make a check fail with any error; the other checks still run
        with contextlib.suppress(*((Exception,) if problems else ())):
            problems.extend(problem for problem in check if not _concerns(problem, refused))
    if problems:
        # a model that is selected twice would report its problems twice
        lines = dict.fromkeys(f"  {_line(problem, origins)}" for problem in problems)
        raise InputError("the configuration cannot be used:", *lines)


def _concerns(problem: Problem, refused: list[tuple[Any, ...]]) -> bool:
    """Return whether a problem is about a key that the schema refused, or one below or above such a key."""
    keys = (problem.key, *problem.others)
    return any(key[: len(other)] == other[: len(key)] for key in keys for other in refused)


def _line(problem: Problem, origins: Origins) -> str:
    """Return a problem as a line with the file that sets its value, and the files of other values that it is about."""
    origin = origins.of(problem.key, missing=problem.text.startswith(MISSING))
    elsewhere = {dotted(other): origins.of(other) for other in problem.others}
    named = [f"{name} is set in {place}" for name, place in elsewhere.items() if place not in ("", origin)]
    remark = f" ({', '.join(named)})" if named else ""
    return f"{f'{origin}: ' if origin else ''}{dotted(problem.key)}: {problem.text}{remark}"


@functools.cache
def schema() -> Schema:
    """Return the schema of the configuration, with the settings of all predictors and the names of all plug-ins."""
    content = read_schema(SCHEMA)
    found = scores.discover()
    meanings = " | ".join(f"{name} ({score.declared['meaning']})" for name, score in found.items())
    content["$defs"]["score"] = {"enum": list(found), "description": meanings}
    for section, find in READERS.items():
        entry = content["properties"][section]["additionalProperties"]
        entry["properties"] = _with_options(entry["properties"] | {"format": {"enum": list(find())}}, find())
    values = {info.name: _settings_of(info) for info in discover().values()}
    content["properties"]["predictors"] = _of_predictors(
        {name: _mapping(settings, list(settings), nullable=True) for name, settings in values.items()}
    )
    extras = {
        name: _one_or_many({"$ref": f"#/$defs/{definition}"})
        for name, definition in (("window", "window"), ("keep", "keep"), ("dense_empty_rows", "boolean"))
    }
    points = {
        name: {"type": ["array", "null"], "items": _mapping(settings | extras, list(settings))}
        for name, settings in values.items()
    }
    for section in SECTIONS:
        content["properties"][section]["properties"]["points"] = _of_predictors(points)
    content["properties"]["time_attention"]["properties"]["predictors"]["items"] = {"enum": list(LADDERS)}
    return Schema(content)


def _with_options(keys: dict[str, Any], readers: dict[str, Plugin]) -> dict[str, Any]:
    """Return the schemas of an entry's keys with the options of all readers; options of one name must be equal."""
    result = dict(keys)
    for reader in readers.values():
        for name, value in reader.declared.get("options", {}).items():
            if result.setdefault(name, value) != value:
                text = f"the option {name} exists already with another schema; allowed: a new name, or the same schema"
                raise InputError(f"{reader.module}: {text}")
    return result


def _settings_of(info: PredictorInfo) -> dict[str, Any]:
    """Return the schema of every setting of a predictor, each one value or a list of values to combine."""
    return {key: _one_or_many(value) for key, value in info.parameters.items()}


def _one_or_many(value: dict[str, Any]) -> dict[str, Any]:
    # a list is a grid, even if a single value may also be a list
    return {"oneOf": [{**value, "not": {"type": "array"}}, _grid_of(value)]}


def _mapping(properties: dict[str, Any], required: list[str], nullable: bool = False) -> dict[str, Any]:
    kinds = ["object", "null"] if nullable else "object"
    return {"type": kinds, "additionalProperties": False, "properties": properties, "required": required}


def _of_predictors(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties, "minProperties": 1}


def _grid_of(value: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "uniqueItems": True, "items": value}
