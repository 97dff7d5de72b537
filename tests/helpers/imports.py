"""Finds what a script of the workflow imports from other packages, by reading it and the library modules it reaches."""

from __future__ import annotations

import ast
import functools
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"


@dataclass(frozen=True)
class _Deferred:
    """An import that happens when a function of a file is called."""

    path: Path
    function: str
    statement: ast.stmt


@dataclass
class _Closure:
    """The files that a script reaches, what they import at once, the functions they name, and what these import."""

    packages: set[str] = field(default_factory=set)
    named: set[tuple[Path | None, str]] = field(default_factory=set)  # the file of a function, None if unknown
    deferred: list[_Deferred] = field(default_factory=list)
    seen: set[Path] = field(default_factory=set)

    def calls(self, entry: _Deferred) -> bool:
        """Whether a file of the closure names the function."""
        return bool({(entry.path, entry.function), (None, entry.function)} & self.named)


@functools.cache
def third_party(script: Path, scripts: Path = SCRIPTS) -> set[str]:
    """Return the top-level names of the packages, not of Python itself, that a script and its library import.

    An import inside a function counts when a file of the closure names that function, so that a module may offer what
    only some scripts need. A method counts when any method of its name is named. A function that loads a plug-in
    (`import_module(name)`, `plugin.load()`) reaches all modules beside its own and below them, or in the folder beside
    it that it calls `FOLDER`.
    """
    closure = _Closure()
    _read(script, scripts, closure)
    waiting = closure.deferred
    while ready := [entry for entry in waiting if closure.calls(entry)]:
        closure.deferred = []
        for entry in ready:
            _follow(entry.statement, entry.path, scripts, closure)
        waiting = [entry for entry in waiting if entry not in ready] + closure.deferred
    ours = {path.name for path in scripts.iterdir() if path.is_dir()} | {path.stem for path in scripts.glob("*.py")}
    return {name for name in closure.packages if name not in sys.stdlib_module_names and name not in ours}


def _read(path: Path, scripts: Path, closure: _Closure) -> None:
    if path in closure.seen:
        return
    closure.seen.add(path)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    closure.named.update(_named(tree, path, scripts))
    for statement, function in _imports(tree, None):
        if function is None:
            _follow(statement, path, scripts, closure)
        else:
            closure.deferred.append(_Deferred(path, function, statement))


def _named(tree: ast.Module, path: Path, scripts: Path) -> Iterator[tuple[Path | None, str]]:
    """Yield every name that a file uses, with the file that defines it where the imports tell."""
    files: dict[str, Path] = {}
    functions: dict[str, tuple[Path, str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            base = _base(node, path, scripts)
            for alias in node.names:
                bound = alias.asname or alias.name
                if module := _file(f"{base}.{alias.name}", scripts):
                    files[bound] = module
                elif module := _file(base, scripts):
                    functions[bound] = (module, alias.name)
                    yield functions[bound]
    # a variable may have the name of a module
    set_here = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    set_here |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield functions.get(node.id, (path, node.id))
        elif isinstance(node, ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            yield (None if owner in set_here else files.get(owner)), node.attr


def _imports(node: ast.AST, function: str | None) -> Iterator[tuple[ast.stmt, str | None]]:
    """Yield imports and loads of plug-ins with the outermost function or method that holds them."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import | ast.ImportFrom) or _loads_plugin(child):
            yield child, function
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            # special methods run without being named
            name = child.name if not child.name.startswith("__") else None
            yield from _imports(child, function or name)
        else:
            yield from _imports(child, function)


def _loads_plugin(node: ast.AST) -> bool:
    if not isinstance(node, ast.Expr | ast.Assign | ast.Return):
        return False
    text = ast.unparse(node)
    # `Plugin.load` itself knows no folder; the registry that calls it does
    return ("import_module(" in text and "self.module" not in text) or ".load()" in text


def _follow(statement: ast.stmt, path: Path, scripts: Path, closure: _Closure) -> None:
    if isinstance(statement, ast.Import):
        modules = [alias.name for alias in statement.names]
    elif isinstance(statement, ast.ImportFrom):
        base = _base(statement, path, scripts)
        modules = [base, *(f"{base}.{alias.name}" for alias in statement.names)]
    else:
        text = path.read_text(encoding="utf-8")
        room = re.search(r'^FOLDER = Path\(__file__\)\.parent / "(\w+)"$', text, re.MULTILINE)
        for plugin in sorted((path.parent / room[1] if room else path.parent).rglob("*.py")):
            _read(plugin, scripts, closure)
        return
    for module in modules:
        closure.packages.add(module.split(".")[0])
        parts = module.split(".")
        for length in range(1, len(parts) + 1):
            file = _file(".".join(parts[:length]), scripts)
            if file and file.is_relative_to(scripts / "sparse_attention"):
                _read(file, scripts, closure)


def _base(node: ast.ImportFrom, path: Path, scripts: Path) -> str:
    """Return the dotted name of the module that names are imported from."""
    if not node.level:
        return node.module or ""
    package = path.parents[node.level - 1].relative_to(scripts).parts
    return ".".join([*package, *filter(None, [node.module])])


def _file(module: str, scripts: Path) -> Path | None:
    """Return the file of one of our modules, None for others."""
    path = scripts.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)
