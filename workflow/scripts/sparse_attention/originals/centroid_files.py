"""The originals' files of clusters, which of them belong to a setting by their names, and their layers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sparse_attention.errors import InputError

KEY = "fit_clusters.source"
# {data}_{dim}r_{clusters}s_{runs}n, then a block size or a layer, then how projections are shared
NAME = re.compile(
    r"(?P<data>.+)_(?P<dim>\d+)r_(?P<clusters>\d+)s_(?P<runs>\d+)n(_(?P<block_size>\d+)bs)?(_(?P<layer>\d+)l)?"
    r"_(?P<sharing>shared|indep)(?P<concat>_concat)?\.(pickle|pt)"
)


class Clustering(NamedTuple):
    """What the name of a file tells of its clusters; `dim` and `shared` are None where nothing is projected."""

    clusters: int
    runs: int
    dim: int | None = None
    shared: bool | None = None
    block_size: int = 1
    concat: bool = False

    def pattern(self) -> str:
        """Return what the files are called, for error messages."""
        dim = "…" if self.dim is None else self.dim
        size = f"_{self.block_size}bs" if self.block_size > 1 else ""
        sharing = {None: "…", True: "shared", False: "indep"}[self.shared]
        concat = "_concat" if self.concat else ""
        return f"…_{dim}r_{self.clusters}s_{self.runs}n{size}[_…l]_{sharing}{concat}.pickle"

    def named(self, parts: re.Match[str]) -> bool:
        """Tell whether a file's name says that it holds these clusters."""
        found = Clustering(
            int(parts["clusters"]),
            int(parts["runs"]),
            None if self.dim is None else int(parts["dim"]),
            None if self.shared is None else parts["sharing"] == "shared",
            int(parts["block_size"] or 1),
            bool(parts["concat"]),
        )
        return found == self


def select_files(files: Sequence[Path], wanted: Clustering) -> list[Path]:
    """Choose a clustering's files among those of a folder by their names: one, or one for each layer in order.

    A single file is taken whatever its name is.

    Raises
    ------
    InputError
        When no file has such a name, when those of several data sets have, or when a layer is missing.
    """
    if len(files) == 1:
        return list(files)
    groups: dict[tuple[str, bool], dict[int, Path]] = {}
    for path in files:
        parts = NAME.fullmatch(path.name)
        if parts and wanted.named(parts):
            group = groups.setdefault((parts["data"], parts["layer"] is None), {})
            layer = int(parts["layer"] or 0)
            if layer in group:
                raise InputError(f"{KEY}: {group[layer]} and {path} hold the same clusters; allowed: one of them")
            group[layer] = path
    if not groups:
        raise InputError(f"{KEY}: none of {len(files)} files is called {wanted.pattern()}; the first is {files[0]}")
    if len(groups) > 1:
        names = " and ".join(str(next(iter(group.values()))) for group in groups.values())
        raise InputError(f"{KEY}: {names} both hold such clusters; allowed: a folder or glob with one of them")
    (layers,) = groups.values()
    missing = sorted(set(range(max(layers) + 1)) - set(layers))
    if missing:
        raise InputError(
            f"{KEY}: there are {len(layers)} files called {wanted.pattern()}, but none of layer {missing[0]}"
        )
    return [layers[layer] for layer in sorted(layers)]
