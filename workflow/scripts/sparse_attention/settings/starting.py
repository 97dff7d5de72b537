"""Checks of `start_from`, the bundle of results that a run starts from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sparse_attention.archiving import stages
from sparse_attention.archiving.bundle import Bundle
from sparse_attention.archiving.stages import STAGES
from sparse_attention.data.sources.path import locate
from sparse_attention.errors import InputError
from sparse_attention.files.yaml import read_mapping
from sparse_attention.files.yaml_values import shown
from sparse_attention.jobs.manifest import REPOSITORY
from sparse_attention.settings.schema import Problem


class _Published(Protocol):
    @property
    def path(self) -> str: ...


T = TypeVar("T", bound=_Published)
SECTIONS = ("train_mlm", "train_classifier", "extract_qk", "fit_projections", "fit_clusters")
"""The sections with a `source` of the user's own, and the stage of the results that are made from it."""
_REPLACED_FROM = dict(zip(SECTIONS, ("models", "models", "qk", "centroids", "centroids"), strict=True))


def adds_code(config: Mapping[str, Any], folder: Path) -> bool:
    """Return whether the run trains classifiers of code beside the tables of a bundle that was made without any.

    Of a bundle that is a data set this is not known before it is retrieved, so no run adds anything to it.

    Parameters
    ----------
    config : mapping
        The whole configuration.
    folder : Path
        The folder that relative paths start from.
    """
    start = config["start_from"]
    if not start or "path" not in start:
        return False
    try:
        return stages.adds_code(Bundle(locate(start["path"], folder)), start["stage"], config)
    except InputError:
        return False  # `problems` says why it cannot be read


def sections_with_files(config: Mapping[str, Any], folder: Path) -> list[str]:
    """Return the sections whose `source` the run reads; what a bundle holds is not made from it again."""
    if adds_code(config, folder):
        return ["train_classifier"]
    start = config["start_from"]
    after = STAGES[STAGES.index(start["stage"]) + 1 :] if start else STAGES
    return [section for section in SECTIONS if _REPLACED_FROM[section] in after]


def selections_with_files(config: Mapping[str, Any], selections: Iterable[str], folder: Path) -> list[str]:
    """Return which of the selected data sets and models the run reads; a bundle holds what is made from the others."""
    start = config["start_from"]
    if not start:
        return list(selections)
    if adds_code(config, folder):
        return [name for name in selections if name in ("code", "classifier")]
    again = (config["export_pruned"] or {}).get("retrain") and start["stage"] not in ("predictors", "tables")
    return [name for name in selections if name == "classifier" and again]


def tables_held(
    tables: Mapping[str, T], config: Mapping[str, Any], folder: Path, made: Collection[str] = ()
) -> dict[str, T]:
    """Return the published tables without those that a bundle of tables lacks because it is older than they are.

    Of a bundle that is a data set all are expected, because what it holds is known only once it is retrieved.

    Parameters
    ----------
    tables : mapping of str to object
        Each has the attribute `path`.
    config : mapping
        The whole configuration.
    folder : Path
        The folder that relative paths start from.
    made : collection of str
        The names of tables that the run makes itself.
    """
    start = config["start_from"] or {}
    if start.get("stage") != "tables" or "path" not in start:
        return dict(tables)
    members = Bundle(locate(start["path"], folder)).members
    return {name: table for name, table in tables.items() if name in made or table.path in members}


def problems(config: Mapping[str, Any], registry: Mapping[str, Any], folder: Path) -> Iterator[Problem]:
    """Yield what is wrong with the place of the bundle, and settings that are not those of the bundle.

    What a data set holds is known once it is retrieved; the jobs that read it check it.
    """
    start = config["start_from"]
    if not start:
        return
    if ("dataset" in start) == ("path" in start):
        yield Problem(("start_from",), "needs either dataset or path, and not both")
    elif "dataset" in start:
        archives = [name for name, entry in registry.items() if entry["kind"] == "archive"]
        if start["dataset"] not in archives:
            allowed = ", ".join(archives) or "none is in the registry"
            text = f"{shown(start['dataset'])} is no data set of kind archive; allowed: {allowed}"
            yield Problem(("start_from", "dataset"), text)
    else:
        try:
            bundle, ours = Bundle(locate(start["path"], folder)), stages.settings_behind(config, start["stage"])
            found = stages.differences(bundle, start["stage"], ours, defaults())
        except InputError as error:
            yield Problem(("start_from", "path"), str(error))
            return
        yield from (Problem(key, text) for key, text in found.items())


def defaults() -> dict[str, Any]:
    """Return the workflow's default configuration."""
    return read_mapping(REPOSITORY / "config/config.yaml")
