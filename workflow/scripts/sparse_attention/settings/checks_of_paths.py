"""Checks that the user's own files and folders, wherever a configuration names them, can be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sparse_attention.data.sources.path import resolve
from sparse_attention.errors import InputError
from sparse_attention.files.yaml_values import shown
from sparse_attention.settings import starting
from sparse_attention.settings.schema import Problem

Key = tuple[Any, ...]


def path_problems(
    config: dict[str, Any], registry: Mapping[str, Any], selecting: Mapping[str, str], folder: Path
) -> Iterator[Problem]:
    """Yield a problem for each path that the run needs, but cannot read.

    Parameters
    ----------
    config : dict
        The whole configuration.
    registry : mapping
        Data set entries by name, the user's own included.
    selecting : mapping of str to str
        The keys whose selection is retrieved, each with the section that it selects from.
    folder : Path
        The folder that relative paths start from.
    """
    given: list[tuple[Key, str | None]] = []
    for section in starting.sections_with_files(config, folder):
        source = config[section]["source"]
        parts = source.items() if isinstance(source, dict) else [(None, source)]
        given += [((section, "source", *filter(None, [part])), path) for part, path in parts]
    datasets: list[Any] = [(config["start_from"] or {}).get("dataset")]
    for selection in starting.selections_with_files(config, selecting, folder):
        section = selecting[selection]
        entry = config[section].get(config[selection]) or {}
        given.append(((section, config[selection], "path"), entry.get("path")))
        datasets.append(entry.get("dataset"))
    for name in datasets:
        source = registry.get(name, {}).get("source", {})
        given.append(
            (("datasets", name, "source", "path"), source.get("path") if source.get("type") == "path" else None)
        )
    for key, path in given:
        if path is not None:
            yield from _unreadable(key, path, folder)


def _unreadable(key: Key, path: str, folder: Path) -> Iterator[Problem]:
    try:
        resolve(path, folder)
    except InputError as error:
        yield Problem(key, str(error))
    except (OSError, RuntimeError, ValueError) as error:
        # a path that is too long, an unknown home folder, a character that paths cannot contain
        yield Problem(key, f"{shown(path)} cannot be read: {getattr(error, 'strerror', None) or error}")
