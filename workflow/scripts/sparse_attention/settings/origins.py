"""Finds the source of each value in a merged configuration: a file or the command line."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparse_attention.errors import InputError
from sparse_attention.files.yaml import read_mapping

COMMAND_LINE = "--config"


@dataclass(frozen=True)
class _Node:
    """A value: the layers that set it first and last, and the values below it if it is a mapping."""

    first: str
    last: str
    below: dict[str, _Node] | None = None


@dataclass(frozen=True)
class Origins:
    """The layers of a configuration, each with its name and content; values of later layers replace earlier ones.

    Attributes
    ----------
    base : tuple of str and dict, optional
        The workflow's own file.
    overlays : list of tuples
        The layers over it. Snakemake merges these first, and then the result over the base.
    """

    base: tuple[str, dict[str, Any]] | None = None
    overlays: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def of(self, key: tuple[Any, ...], missing: bool = False) -> str:
        """Return the layer that set the value at `key`, or the mapping or list around it; empty when none is known.

        With `missing`, for a key that is not there, the layer that first set the mapping around it is returned.
        """
        node, found = self._tree, False
        for part in key:
            if node is None or not node.below or part not in node.below:
                break
            node, found = node.below[part], True
        if node is None or not (found or missing):
            return ""
        return node.first if missing else node.last

    @functools.cached_property
    def _tree(self) -> _Node | None:
        trees = [_tree(*layer) for layer in self.overlays]
        above = functools.reduce(_merge, trees) if trees else None
        if self.base is None:
            return above
        return _merge(_tree(*self.base), above) if above else _tree(*self.base)


def key_of(config: dict[str, Any], whole: dict[str, Any]) -> tuple[str, ...] | None:
    """Return the key at which a workflow that uses this one as a module has this one's configuration.

    Parameters
    ----------
    config : dict
        The configuration of this workflow.
    whole : dict
        That of the workflow that was started, which is the same object where nothing uses this one as a module.

    Returns
    -------
    tuple of str or None
        The path of the key; None when the other workflow puts the configuration together itself.
    """
    if whole is config:
        return ()
    for name, value in whole.items():
        below = key_of(config, value) if isinstance(value, dict) else None
        if below is not None:
            return (name, *below)
    return None


def read_origins(
    files: Iterable[str | os.PathLike[str]], replaced: bool = False, key: tuple[str, ...] | None = ()
) -> Origins:
    """Read the files of a configuration; the first is the workflow's own.

    Parameters
    ----------
    files : iterable of paths
        The workflow's own file and the overlays in order.
    replaced : bool
        Whether the overlays replace the workflow's own file.
    key : tuple of str or None
        What `key_of` returns: only what lies under this key concerns this workflow.

    Raises
    ------
    InputError
        With one line for each mistake that `files.yaml.read_mapping` finds in them.
    """
    layers, problems = [], []
    for file in files if key is not None else ():
        try:
            layers.append((_short(file), _under(read_mapping(Path(_short(file)), key or ()), key or ())))
        except InputError as error:
            problems += str(error).splitlines()
    if problems:
        raise InputError("the configuration cannot be read:", *(f"  {line}" for line in problems))
    if replaced or not layers:
        return Origins(None, layers[1:])
    return Origins(layers[0], layers[1:])


def _under(content: Any, key: tuple[str, ...]) -> dict[str, Any]:
    """Return the mapping at a key of a file; an empty one when the file has none there."""
    for part in key:
        content = content.get(part) if isinstance(content, dict) else None
    return content if isinstance(content, dict) else {}


def _short(file: str | os.PathLike[str]) -> str:
    """Return a path relative to the current folder if it is below that."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _tree(name: str, content: Any) -> _Node:
    if not isinstance(content, dict):
        return _Node(name, name)
    return _Node(name, name, {key: _tree(name, value) for key, value in content.items()})


def _merge(under: _Node, over: _Node) -> _Node:
    """Merge two trees as Snakemake does: mappings are merged, all other values replaced."""
    if over.below is None or under.below is None:
        return over
    merged = dict(under.below)
    for key, node in over.below.items():
        merged[key] = _merge(merged[key], node) if key in merged else node
    return _Node(under.first, over.last, merged)
