"""Finds plug-ins by reading their source, so that Snakemake's process need not import the packages that they need."""

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
    """A class with a literal `name` in a file of a plug-in folder.

    Attributes
    ----------
    module : str
        Dotted name of its module, as `code_digest` takes it.
    class_name : str
        Name of the class.
    bases : tuple of str
        Names of the classes that it extends.
    declared : dict
        The values of its literal attributes by name, inherited ones included.
    """

    module: str
    class_name: str
    bases: tuple[str, ...]
    declared: dict[str, Any]

    @property
    def name(self) -> str:
        """The plug-in's name in the configuration, in paths and in tables."""
        return str(self.declared["name"])

    def load(self) -> Any:
        """Import the module and return the class."""
        return getattr(importlib.import_module(self.module), self.class_name)


def find_plugins(
    folder: Path, literals: Collection[str], without: Collection[str] = (), library: Path = LIBRARY
) -> dict[str, Plugin]:
    """Return the plug-ins in a folder by name, in alphabetical order, without importing them.

    Parameters
    ----------
    folder : Path
        The folder, a package inside `library` or, in tests, any other folder.
    literals : collection of str
        The attributes that are read, in addition to `name`, which makes a class a plug-in; their values must be
        literals, or names of literals that the same file sets before its classes. They are inherited from classes in
        the same file or else in the same folder.
    without : collection of str
        Modules without plug-ins, in addition to `__init__`; plug-ins may extend the classes in them.
    library : Path
        The folder of the package `sparse_attention`.

    Raises
    ------
    InputError
        When a file is not valid Python, an attribute is not a literal, or two plug-ins share a name.
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
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    constants = _Constants(tree.body)
    for node in classes.values():
        node.body = [constants.visit(part) for part in node.body if isinstance(part, ast.Assign | ast.AnnAssign)]
    return classes


class _Constants(ast.NodeTransformer):
    """Puts the values of a module's constants in place of their names."""

    def __init__(self, body: list[ast.stmt]) -> None:
        self.values = {
            target.id: part.value
            for part in body if isinstance(part, ast.Assign) for target in part.targets if isinstance(target, ast.Name)
        }  # fmt: skip

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.values.get(node.id, node) if isinstance(node.ctx, ast.Load) else node


def _bases(node: ast.ClassDef) -> tuple[str, ...]:
    return tuple(ast.unparse(base) for base in node.bases)


def _literals(path: Path, node: ast.ClassDef, names: Collection[str]) -> dict[str, Any]:
    """Return the values of the named attributes that the body of a class sets."""
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
    """Return the pairs of target and value in an assignment; `a, b = 1, 2` has two."""
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        return list(zip(target.elts, value.elts, strict=True))
    return [(target, value)]
