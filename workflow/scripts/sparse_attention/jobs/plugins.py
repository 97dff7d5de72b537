"""Finds plug-ins by reading their source: the driver knows what they declare without importing what they need."""

from __future__ import annotations

import ast
import functools
import importlib
from collections.abc import Collection, Iterable
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
        What it declares by literals, by name.
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
        The attributes that a plug-in may declare; they must be literals. `name` makes a class a plug-in.
    without : collection of str
        Modules of the room that hold no plug-ins, beside `__init__`.
    library : Path
        The folder of the package.

    Raises
    ------
    InputError
        When a file does not parse, a declared attribute is not a literal, or two plug-ins share a name.
    """
    package = ".".join([library.name, *folder.relative_to(library).parts]) if folder.is_relative_to(library) else ""
    found: dict[str, Plugin] = {}
    for path in sorted(folder.glob("*.py")):
        if path.stem not in ("__init__", *without):
            module = f"{package}.{path.stem}" if package else path.stem
            for plugin in _read(path, path.stat().st_mtime_ns, module, frozenset({"name", *literals})):
                if plugin.name in found:
                    other = found[plugin.name].module.rpartition(".")[2]
                    raise InputError(f"{path}: the name {plugin.name!r} is already that of a class in {other}.py")
                found[plugin.name] = plugin
    return dict(sorted(found.items()))


@functools.cache
def _read(path: Path, modified: int, module: str, literals: frozenset[str]) -> tuple[Plugin, ...]:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise InputError(f"{path}:{error.lineno}: not valid Python: {error.msg}") from None
    plugins = []
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            declared = _declared(path, node, literals)
            if "name" in declared:
                bases = tuple(ast.unparse(base) for base in node.bases)
                plugins.append(Plugin(module, node.name, bases, declared))
    return tuple(plugins)


def _declared(path: Path, node: ast.ClassDef, literals: Iterable[str]) -> dict[str, Any]:
    values = {}
    for statement in node.body:
        if isinstance(statement, ast.Assign):
            targets, value = statement.targets, statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets, value = [statement.target], statement.value
        else:
            continue
        for target in targets:
            if isinstance(target, ast.Name) and target.id in literals:
                try:
                    values[target.id] = ast.literal_eval(value)
                except ValueError:
                    raise InputError(f"{path}:{value.lineno}: {node.name}.{target.id} must be a literal") from None
    return values
