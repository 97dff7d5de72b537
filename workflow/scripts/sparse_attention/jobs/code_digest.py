"""Digests of the code that a rule runs, so that editing a module re-runs the rules that use it and only those."""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sparse_attention.files.atomic import atomic_path

PACKAGE = "sparse_attention"
SCRIPTS = Path(__file__).resolve().parents[2]
CACHE_VERSION = 1
"""Of what is kept of files; to be raised when another digest or other names are made from the same content."""
WITHOUT_EFFECT = {
    "sparse_attention.errors": ("InputError", "damage_in", "reason"),
    "sparse_attention.jobs.guard": (),
    "sparse_attention.jobs.log": ("logger",),
    "sparse_attention.jobs.progress": ("ProgressBar", "progress"),
    "sparse_attention.jobs.script": ("run",),
}
"""Modules that cannot change results, and the names that other modules import from them. No digest counts them.

They make messages, logs and progress bars, and decide when a job starts and how a failed job ends. `InputError` also
changes what is run, but it only ends jobs, and a job that ends with an error leaves no results. A test makes sure that
these modules import only each other and the standard library, that other modules import no further names from them, and
that no job goes on after an `InputError`.
"""


def code_digest(script: str, *plugins: str, scripts: Path = SCRIPTS) -> str:
    """Return a digest of the syntax trees of a script and of all library modules that it imports, directly or not.

    Comments, docstrings, layout, imports under `if TYPE_CHECKING` and the modules in `WITHOUT_EFFECT` do not count.
    Every byte of the C++ sources beside a module counts.

    Parameters
    ----------
    script : str
        Name of a script in `scripts`, without `.py`.
    *plugins : str
        Dotted names of modules that the script finds through a registry, such as `sparse_attention.predictors.window`.
    scripts : Path
        The folder that holds the scripts and the package.

    Returns
    -------
    str
        Sixteen hexadecimal digits.
    """
    waiting = [scripts / f"{script}.py", *(_module_file(scripts, name) for name in plugins)]
    seen: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path is not None and path not in seen:
            seen.add(path)
            names = _read(path, scripts, path.stat().st_mtime_ns)[1]
            waiting += [_module_file(scripts, name) for name in names if name not in WITHOUT_EFFECT]
    digest = hashlib.sha256()
    for path in sorted(seen):
        digest.update(f"{path.relative_to(scripts)} {_read(path, scripts, path.stat().st_mtime_ns)[0]}\n".encode())
    for folder in sorted({path.parent for path in seen}):
        for source in sorted([*folder.glob("*.cpp"), *folder.glob("*.h")]):
            digest.update(source.read_bytes())
    _save(scripts)
    return digest.hexdigest()[:16]


@functools.cache
def _module_file(scripts: Path, name: str) -> Path | None:
    """Return the file of a dotted name: a module, a package, or None when it is a name inside a module."""
    base = scripts.joinpath(*name.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


@functools.cache
def _read(path: Path, scripts: Path, modified: int) -> tuple[str, tuple[str, ...]]:
    """Return the digest of one file's syntax tree and the dotted names that it imports from the library."""
    source = path.read_bytes()
    # syntax trees differ between versions of Python
    key = hashlib.sha256(source + repr(sys.version_info[:2]).encode()).hexdigest()
    kept = _cache(scripts)
    if key not in kept:
        tree = ast.parse(source, filename=str(path))
        names = sorted(set(_imports(tree)))
        for node in ast.walk(tree):
            if isinstance(
                node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
            ) and ast.get_docstring(node, clean=False):
                node.body = node.body[1:]
        kept[key] = [hashlib.sha256(ast.dump(tree).encode()).hexdigest(), names]
        _unsaved.add(scripts)
    return kept[key][0], tuple(kept[key][1])


_unsaved: set[Path] = set()


def _cache_file(scripts: Path) -> Path:
    return scripts / "__pycache__" / "code_digests.json"


@functools.cache
def _cache(scripts: Path) -> dict[str, list[Any]]:
    """Return what earlier starts found in files of the same content: parsing all files takes most of a second."""
    try:
        content = json.loads(_cache_file(scripts).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) and content.pop("version", None) == CACHE_VERSION else {}


def _save(scripts: Path) -> None:
    """Keep what was found; where nothing can be written, the next start parses the files again."""
    if scripts in _unsaved:
        _unsaved.discard(scripts)
        with contextlib.suppress(OSError), atomic_path(_cache_file(scripts)) as partial:
            partial.write_text(json.dumps({"version": CACHE_VERSION, **_cache(scripts)}), encoding="utf-8")


def _imports(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import):
            names = [alias.name for alias in child.names]
        elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
            names = [child.module, *(f"{child.module}.{alias.name}" for alias in child.names)]
        else:
            yield from _imports(child)
            continue
        # importing a.b.c runs a and a.b too
        parts = [name.split(".") for name in names if name.split(".")[0] == PACKAGE]
        yield from (".".join(part[: end + 1]) for part in parts for end in range(len(part)))
