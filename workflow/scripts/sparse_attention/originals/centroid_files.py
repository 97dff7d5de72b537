"""Select the cluster files of the original code that belong to a setting, by their names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sparse_attention.errors import InputError

KEY = "fit_clusters.source"
# {data}_{dim}r_{clusters}s_{runs}n, then optional block size and layer, then shared or independent projections
NAME = re.compile(
    r"(?P<data>.+)_(?P<dim>\d+)r_(?P<clusters>\d+)s_(?P<runs>\d+)n(_(?P<block_size>\d+)bs)?(_(?P<layer>\d+)l)?"
    r"_(?P<sharing>shared|indep)(?P<concat>_concat)?\.(pickle|pt)"
)


class Clustering(NamedTuple):
    """The setting that a cluster file's name encodes; `dim` and `shared` are None where vectors are not projected."""

    clusters: int
    runs: int
    dim: int | None = None
    shared: bool | None = None
    block_size: int = 1
    concat: bool = False

    def pattern(self) -> str:
        """Return the pattern of the file names of this setting, for error messages."""
        dim = "…" if self.dim is None else self.dim
        size = f"_{self.block_size}bs" if self.block_size > 1 else ""
        sharing = {None: "…", True: "shared", False: "indep"}[self.shared]
        concat = "_concat" if self.concat else ""
        return f"…_{dim}r_{self.clusters}s_{self.runs}n{size}[_…l]_{sharing}{concat}.pickle"

    def matches(self, parts: re.Match[str]) -> bool:
        """Return whether a file name, matched by `NAME`, is of this setting."""
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
    """Return the files of a clustering: one file, or one file per layer, in the order of layers.

    Parameters
    ----------
    files : sequence of Path
        All candidates. A single one is taken whatever its name is.
    wanted : Clustering
        The setting whose files are selected by their names.

    Raises
    ------
    InputError
        When no file has such a name, when files of several data sets or two files of one layer have, or when a layer is
        missing.
    """
    if len(files) == 1:
        return list(files)
    groups: dict[tuple[str, bool], dict[int, Path]] = {}
    for path in files:
        parts = NAME.fullmatch(path.name)
        if parts and wanted.matches(parts):
            group = groups.setdefault((parts["data"], parts["layer"] is None), {})
            layer = int(parts["layer"] or 0)
            if layer in group:
                raise InputError(
                    f"{KEY}: {group[layer]} and {path} both hold layer {layer} of the clusters; allowed: one of them"
                )
            group[layer] = path
    if not groups:
        raise InputError(
            f"{KEY}: none of {len(files)} files, such as {files[0]}, fits the setting; allowed: {wanted.pattern()}"
        )
    if len(groups) > 1:
        names = " and ".join(str(next(iter(group.values()))) for group in groups.values())
        raise InputError(f"{KEY}: {names} both fit the setting; allowed: a folder or pattern with only one of them")
    (layers,) = groups.values()
    missing = sorted(set(range(max(layers) + 1)) - set(layers))
    if missing:
        found = f"{len(layers)} files fit the setting, but none of layer {missing[0]}"
        raise InputError(f"{KEY}: {found}; allowed: {wanted.pattern()} for each layer")
    return [layers[layer] for layer in sorted(layers)]
