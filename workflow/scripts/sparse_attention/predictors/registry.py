"""Finds predictors by reading their source, so that the driver knows their settings without importing torch."""

from __future__ import annotations

import ast
import functools
import importlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparse_attention.errors import InputError

if TYPE_CHECKING:
    from sparse_attention.predictors.base import Context, Predictor

FOLDER = Path(__file__).parent
NOT_PREDICTORS = ("__init__", "base", "registry")
LITERALS = ("name", "label", "needs", "fits", "parameters", "fitted", "at_most", "divides", "blocks")


@dataclass(frozen=True)
class PredictorInfo:
    """What the workflow must know of a predictor before any job runs.

    Attributes
    ----------
    name : str
        The name in the config and in paths.
    module : str
        Module of `sparse_attention.predictors` that defines it.
    class_name : str
        Its class in that module.
    label : str
        Its name in figures and tables.
    needs : tuple of str
        Fitted inputs that it reads: "projection", "clusters".
    fits : bool
        Whether it learns from the train split's queries, keys and gold support.
    parameters : dict
        JSON schema of one value of each setting.
    fitted : tuple of str
        Settings for which something is computed beforehand: they are a part of the path, the others are swept in a job.
    at_most : dict
        Settings that may not exceed another one, such as `{"top": "clusters"}`.
    divides : dict
        Settings that must divide another one, such as `{"stride": "block"}`.
    blocks : bool
        Whether it runs on blocks of tokens without a projection.
    bases : tuple of str
        Names of the classes that it extends.
    """

    name: str
    module: str
    class_name: str
    label: str = ""
    needs: tuple[str, ...] = ()
    fits: bool = False
    parameters: dict[str, Any] = field(default_factory=dict)
    fitted: tuple[str, ...] = ()
    at_most: dict[str, str] = field(default_factory=dict)
    divides: dict[str, str] = field(default_factory=dict)
    blocks: bool = False
    bases: tuple[str, ...] = ()

    @property
    def quantizes(self) -> bool:
        """Whether it puts queries and keys into buckets."""
        return "BucketPredictor" in self.bases

    @property
    def plugin(self) -> str:
        """Dotted name of the module, for the digest of the code that a job runs."""
        return f"sparse_attention.predictors.{self.module}"


@functools.cache
def discover(folder: Path = FOLDER) -> dict[str, PredictorInfo]:
    """Return every predictor in `folder` by name, in alphabetical order, without importing one.

    A predictor is a class with a literal `name`; the other settings are literals too and default to nothing.

    Raises
    ------
    InputError
        When a file does not parse, a setting is not a literal, or two predictors share a name.
    """
    found: dict[str, PredictorInfo] = {}
    for path in sorted(folder.glob("*.py")):
        for info in _read(path) if path.stem not in NOT_PREDICTORS else ():
            if info.name in found:
                raise InputError(f"{path}: predictor {info.name!r} is already defined in {found[info.name].module}.py")
            found[info.name] = info
    return dict(sorted(found.items()))


def _read(path: Path) -> list[PredictorInfo]:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise InputError(f"{path}:{error.lineno}: not valid Python: {error.msg}") from None
    infos = []
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            literals = _literals(path, node)
            if "name" in literals:
                bases = tuple(ast.unparse(base) for base in node.bases)
                infos.append(PredictorInfo(module=path.stem, class_name=node.name, bases=bases, **literals))
    return infos


def _literals(path: Path, node: ast.ClassDef) -> dict[str, Any]:
    values = {}
    for statement in node.body:
        if isinstance(statement, ast.Assign):
            targets, value = statement.targets, statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets, value = [statement.target], statement.value
        else:
            continue
        for target in targets:
            if isinstance(target, ast.Name) and target.id in LITERALS:
                try:
                    values[target.id] = ast.literal_eval(value)
                except ValueError:
                    raise InputError(f"{path}:{value.lineno}: {node.name}.{target.id} must be a literal") from None
    return values


def create(name: str, context: Context) -> Predictor:
    """Import the predictor `name` and return it, set up with `context`."""
    info = discover().get(name)
    if info is None:
        raise InputError(f"predictors.{name}: no such predictor; allowed: {', '.join(discover())}")
    module = importlib.import_module(f"sparse_attention.predictors.{info.module}")
    return getattr(module, info.class_name)(context)
