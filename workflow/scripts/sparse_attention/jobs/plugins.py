"""Finds plug-ins by reading their source: the driver knows what they declare without importing what they need."""

from __future__ import annotations

import ast
import functools
import importlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparse_attention.errors import InputError

LIBRARY = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Plugin:
    """A class with a literal `name` in a file of its room.

    Attributes
    ----------
    module : str
        Dotted name of the module that defines it; `code_digest` takes it.
    class_name : str
        Its class in that module.
    bases : tuple of str
        Names of the classes that it extends.
    declared : dict
        What it declares by literals, or a class of its room that it extends, by name.
    """

    module: str
    class_name: str
    bases: tuple[str, ...]
    declared: dict[str, Any]

    @property
    def name(self) -> str:
        """Its name in the configuration, in paths and in tables."""
        return str(self.declared["name"])

    def load(self) -> Any:
        """Import the module and return the class."""
        return getattr(importlib.import_module(self.module), self.class_name)


def find_plugins(
    folder: Path, literals: Collection[str], without: Collection[str] = (), library: Path = LIBRARY
) -> dict[str, Plugin]:
    """Return every plug-in in a folder by name, in alphabetical order, without importing one.

    Parameters
    ----------
    folder : Path
        The room, a package inside `library`, or another folder for tests.
    literals : collection of str
        The attributes that a plug-in may declare; they must be literals. `name` makes a class a plug-in. The others
        are inherited from classes of the same file, else of the room.
    without : collection of str
        Modules of the room that hold no plug-ins, beside `__init__`; plug-ins may extend their classes.
    library : Path
        The folder of the package.

    Raises
    ------
    InputError
        When a file does not parse, a declared attribute is not a literal, or two plug-ins share a name.
    """
    package = ".".join([library.name, *folder.relative_to(library).parts]) if folder.is_relative_to(library) else ""
    files = [path for path in sorted(folder.glob("*.py")) if path.stem != "__init__"]
    classes = {path: _read(path, path.stat().st_mtime_ns) for path in files}
    everywhere = {name: (path, node) for path in files for name, node in classes[path].items()}

    def declared(path: Path, node: ast.ClassDef) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for base in reversed(_bases(node)):
            beside = classes[path].get(base)
            where = (path, beside) if beside else everywhere.get(base.rpartition(".")[2])
            if where and where[1] is not node:
                values |= declared(*where)
        return {**values, **_literals(path, node, {"name", *literals})}

    found: dict[str, Plugin] = {}
    for path in files:
        module = f"{package}.{path.stem}" if package else path.stem
        for node in classes[path].values() if path.stem not in without else ():
            if "name" in _literals(path, node, {"name"}):
                plugin = Plugin(module, node.name, _bases(node), declared(path, node))
                if plugin.name in found:
                    other = found[plugin.name].module.rpartition(".")[2]
                    raise InputError(f"{path}: the name {plugin.name!r} is already that of a class in {other}.py")
                found[plugin.name] = plugin
    return dict(sorted(found.items()))


@functools.cache
def _read(path: Path, modified: int) -> dict[str, ast.ClassDef]:
    """Return the classes of a file by name."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise InputError(f"{path}:{error.lineno}: not valid Python: {error.msg}") from None
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def _bases(node: ast.ClassDef) -> tuple[str, ...]:
    return tuple(ast.unparse(base) for base in node.bases)


def _literals(path: Path, node: ast.ClassDef, names: Collection[str]) -> dict[str, Any]:
    """Return what the body of a class sets, of the attributes that are asked for."""
    values = {}
    for statement in node.body:
        if isinstance(statement, ast.Assign):
            pairs = [pair for target in statement.targets for pair in _unpacked(target, statement.value)]
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            pairs = [(statement.target, statement.value)]
        else:
            continue
        for target, value in pairs:
            if isinstance(target, ast.Name) and target.id in names:
                try:
                    values[target.id] = ast.literal_eval(value)
                except ValueError:
                    raise InputError(f"{path}:{value.lineno}: {node.name}.{target.id} must be a literal") from None
    return values


def _unpacked(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    """Return what is set by one assignment: `a, b = 1, 2` sets two attributes."""
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        return list(zip(target.elts, value.elts, strict=True))
    return [(target, value)]
