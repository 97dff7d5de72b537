"""Builds the manifest of a run: code, packages, configuration, data, tables and machine."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import tomllib
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from sparse_attention.files.checksums import sha256_of
from sparse_attention.files.plain import read_json

REPOSITORY = Path(__file__).resolve().parents[4]
ABSOLUTE = re.compile(r"^(?:file:|~|/|[A-Za-z]:[\\/]|\\\\)")


def build(
    config: Mapping[str, Any],
    receipts: Iterable[str],
    kernels: Iterable[str],
    tables: Iterable[str],
    archived: Iterable[Mapping[str, Any]] = (),
    trained: Iterable[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return the manifest of a run.

    It names no user and no folder outside the repository, because absolute paths are cut to their last part.

    Parameters
    ----------
    config : mapping
        The whole configuration.
    receipts, kernels, tables : iterable of path
        The receipts of retrieved data sets, the descriptions of the attention kernels that trained the language
        models, and the published tables.
    archived, trained : iterable of mapping
        The entries of data, and of kernels that are not in `kernels`, in the manifest of an archived run that this run
        started from.
    """
    return {
        "code": {"version": version_of(REPOSITORY), **code_state(REPOSITORY)},
        "python": platform.python_version(),
        "packages": packages(),
        "hardware": hardware(),
        "seeds": list(config.get("seeds", ())),
        "config": portable(config),
        "data": [*map(dict, archived), *(_receipt(Path(path)) for path in receipts)],
        "kernels": [
            *map(dict, trained),
            *({"path": _relative(path), **read_json(path, "a description of a kernel")} for path in kernels),
        ],
        "tables": [{"path": _relative(path), "sha256": sha256_of(path)} for path in tables],
    }


def code_state(repository: Path) -> dict[str, Any]:
    """Return the commit of a working tree and whether it has changes; both are None outside of git."""
    inside = _output("git", "-C", str(repository), "rev-parse", "--show-toplevel")
    if inside is None or Path(inside).resolve() != repository.resolve():
        return {"commit": None, "dirty": None}
    changes = _output("git", "-C", str(repository), "status", "--porcelain")
    return {
        "commit": _output("git", "-C", str(repository), "rev-parse", "--verify", "HEAD"),
        "dirty": None if changes is None else bool(changes),
    }


def version_of(repository: Path) -> str | None:
    """Return the version of the workflow in a folder; None where only its scripts lie."""
    try:
        project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        return str(project["version"])
    except (OSError, ValueError, KeyError):
        return None


def packages() -> dict[str, str]:
    """Return the version of every installed package by name; of two versions, the one that an import would take."""
    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        # in a conda environment, Snakemake puts its own packages behind those of the environment
        if name := distribution.metadata["Name"]:
            found.setdefault(name, distribution.version)
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def hardware() -> dict[str, Any]:
    """Describe this machine without its name."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": _memory(),
        "gpus": (_output("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader") or "").splitlines(),
    }


def portable(value: Any) -> Any:
    """Return a copy of nested JSON values in which each absolute path is cut to its last part."""
    if isinstance(value, Mapping):
        return {str(key): portable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [portable(item) for item in value]
    if isinstance(value, os.PathLike) or (isinstance(value, str) and ABSOLUTE.match(value)):
        parts = re.split(r"[\\/]+", os.fspath(value).rstrip("\\/"))
        return f".../{parts[-1]}"
    return value


def _receipt(path: Path) -> dict[str, Any]:
    receipt = read_json(path, "a receipt; delete it and retrieve again")
    kept = {name: value for name, value in receipt.items() if name != "root"}
    return {"receipt": _relative(path), "sha256": sha256_of(path), **portable(kept)}


def _relative(path: str | os.PathLike[str]) -> str:
    """Return a path relative to the working directory; of a path outside of it only the last part."""
    given = Path(path)
    if not given.is_absolute():
        return given.as_posix()
    return given.relative_to(Path.cwd()).as_posix() if given.is_relative_to(Path.cwd()) else given.name


def _output(*command: str) -> str | None:
    """Return the output of a command, or None when it is not installed or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return _output("sysctl", "-n", "machdep.cpu.brand_string") or platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _memory() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None
