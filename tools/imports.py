"""Finds what a script of the workflow imports from other packages, by reading it and the library modules it reaches."""

from __future__ import annotations

import ast
import functools
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SCRIPTS = Path(__file__).parents[1] / "workflow" / "scripts"


@dataclass
class _Reached:
    """The modules of a closure, what they import at once, and what their functions import when called."""

    at_once: set[str] = field(default_factory=set)
    names: dict[str, int] = field(default_factory=dict)  # how often a name is used outside its own definition
    later: list[tuple[str, list[ast.stmt], Path]] = field(default_factory=list)
    seen: set[Path] = field(default_factory=set)


@functools.cache
def third_party(script: Path, scripts: Path = SCRIPTS) -> set[str]:
    """Return the top-level names of the packages, not of Python itself, that a script and its library import.

    An import inside a function counts when the closure mentions the function's name, so that a module may offer what
    only some scripts need. A function that loads a plug-in (`import_module(name)`, `plugin.load()`) reaches all modules
    beside its own and below them, or in the folder beside it that it calls `FOLDER`.
    """
    reached = _Reached()
    _read(script, scripts, reached)
    waiting = list(reached.later)
    while True:
        ready = [entry for entry in waiting if reached.names.get(entry[0])]
        if not ready:
            break
        waiting = [entry for entry in waiting if entry not in ready]
        before = len(reached.later)
        for _, statements, path in ready:
            for statement in statements:
                _follow(statement, path, scripts, reached)
        waiting += reached.later[before:]
    ours = {path.name for path in scripts.iterdir() if path.is_dir()} | {path.stem for path in scripts.glob("*.py")}
    return {name for name in reached.at_once if name not in sys.stdlib_module_names and name not in ours}


def _read(path: Path, scripts: Path, reached: _Reached) -> None:
    if path in reached.seen:
        return
    reached.seen.add(path)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for statement, function in _statements(tree, None):
        if function is None:
            _follow(statement, path, scripts, reached)
        else:
            reached.later.append((function, [statement], path))
    for node in ast.walk(tree):
        name = getattr(node, "id", None) or getattr(node, "attr", None)
        names = [alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) else [name]
        for used in filter(None, names):
            reached.names[used] = reached.names.get(used, 0) + 1


def _statements(node: ast.AST, function: str | None) -> Iterator[tuple[ast.stmt, str | None]]:
    """Yield imports and `import_module` calls with the outermost function or method that holds them."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import | ast.ImportFrom) or _imports_by_name(child):
            yield child, function
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            # special methods run without being named
            name = child.name if not child.name.startswith("__") else None
            yield from _statements(child, function or name)
        else:
            yield from _statements(child, function)


def _imports_by_name(node: ast.AST) -> bool:
    if not isinstance(node, ast.Expr | ast.Assign | ast.Return):
        return False
    text = ast.unparse(node)
    # what the class of all plug-ins imports is told by the registry that calls it
    return ("import_module(" in text and "self.module" not in text) or ".load()" in text


def _follow(statement: ast.stmt, path: Path, scripts: Path, reached: _Reached) -> None:
    if isinstance(statement, ast.Import):
        modules = [alias.name for alias in statement.names]
    elif isinstance(statement, ast.ImportFrom):
        base = statement.module or ""
        if statement.level:
            package = path.parents[statement.level - 1].relative_to(scripts).parts
            base = ".".join([*package, *filter(None, [base])])
        modules = [base, *(f"{base}.{alias.name}" for alias in statement.names)]
    else:
        text = path.read_text(encoding="utf-8")
        room = re.search(r'^FOLDER = Path\(__file__\)\.parent / "(\w+)"$', text, re.MULTILINE)
        for plugin in sorted((path.parent / room[1] if room else path.parent).rglob("*.py")):
            _read(plugin, scripts, reached)
        return
    for module in modules:
        reached.at_once.add(module.split(".")[0])
        parts = module.split(".")
        for length in range(1, len(parts) + 1):
            file = scripts.joinpath(*parts[:length])
            for candidate in (file.with_suffix(".py"), file / "__init__.py"):
                if candidate.is_file() and candidate.is_relative_to(scripts / "sparse_attention"):
                    _read(candidate, scripts, reached)
