"""Find predictors by reading their source, so that the driver knows their settings without importing torch."""

from __future__ import annotations

import functools
import importlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparse_attention.errors import InputError
from sparse_attention.jobs.plugins import find_plugins

if TYPE_CHECKING:
    from sparse_attention.predictors.base import Context, Predictor

FOLDER = Path(__file__).parent
NOT_PREDICTORS = ("base", "features", "registry")
LITERALS = (
    "name", "label", "needs", "fits", "parameters", "fitted", "at_most", "divides", "blocks",
    "group", "bound", "nested", "falling", "paper", "quadratic",
)  # fmt: skip
GROUPS = (
    "Patterns that ignore content",
    "Distances",
    "Quantizers",
    "Estimates without training",
    "Learned selectors",
)
"""The groups of predictors that figures draw together, in the order of panels."""
IGNORES_CONTENT = GROUPS[0]
BOUNDS = ("upper", "lower")


@dataclass(frozen=True)
class PredictorInfo:
    """Facts about a predictor that the workflow needs before any job runs; see also `Predictor`.

    Attributes
    ----------
    name : str
        Name in the configuration and in paths.
    module : str
        Name of the module in `sparse_attention.predictors` that defines it.
    class_name : str
        Name of its class in that module.
    label : str
        Name in figures and tables.
    needs : tuple of str
        Fitted inputs that it reads: "projection", "clusters".
    fits : bool
        Whether it learns from the train split's queries, keys and gold support.
    parameters : dict
        JSON schema of one value of each setting.
    fitted : tuple of str
        Settings for which something is computed beforehand. They are part of paths; other settings are swept in a job.
    at_most : dict
        Settings that must not exceed another setting, such as `{"top": "clusters"}`.
    divides : dict
        Settings that must divide another setting, such as `{"stride": "block"}`.
    blocks : bool
        Whether it runs on blocks of tokens without a projection.
    group : str
        Group of predictors with which figures draw it, one of `GROUPS` or empty.
    bound : str
        "upper" or "lower" for a bound of all predictors; empty otherwise.
    nested : str
        Setting along which the supports are nested, or empty.
    falling : bool
        Whether supports shrink as that setting grows.
    paper : str
        Publication to cite, or empty.
    quadratic : bool
        Whether its block lists take an operation for every pair of tokens.
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
    group: str = ""
    bound: str = ""
    nested: str = ""
    falling: bool = False
    paper: str = ""
    quadratic: bool = True
    bases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, allowed in (("group", GROUPS), ("bound", BOUNDS)):
            value = getattr(self, name)
            if value and value not in allowed:
                place = f"predictors/{self.module}.py: {self.class_name}.{name}"
                raise InputError(f"{place}: {value!r}; allowed: {', '.join(allowed)}, or empty")

    @property
    def quantizes(self) -> bool:
        """Whether it puts queries and keys into buckets."""
        return "BucketPredictor" in self.bases

    @property
    def family(self) -> str:
        """The file that defines it, as tables name it: one file is one family."""
        return self.module

    @property
    def facts(self) -> dict[str, Any]:
        """The facts that tables, figures and the report use, by name."""
        names = ("label", "family", "group", "bound", "nested", "falling", "paper")
        return {name: getattr(self, name) for name in names}

    @property
    def plugin(self) -> str:
        """Dotted name of the module, for the digest of a job's code."""
        return f"sparse_attention.predictors.{self.module}"


@functools.cache
def discover(folder: Path = FOLDER) -> dict[str, PredictorInfo]:
    """Return every predictor in `folder` by name, in alphabetical order, without importing one.

    A predictor is a class with a literal `name`; its other attributes in `LITERALS` are literals too, and optional.

    Raises
    ------
    InputError
        When a file does not parse, an attribute is not a literal or not allowed, or two predictors share a name.
    """
    return {
        name: PredictorInfo(
            module=plugin.module.rpartition(".")[2],
            class_name=plugin.class_name,
            bases=plugin.bases,
            **plugin.declared,
        )
        for name, plugin in find_plugins(folder, LITERALS, NOT_PREDICTORS).items()
    }


def create(name: str, context: Context) -> Predictor:
    """Import the predictor `name` and return it, set up with `context`."""
    info = discover().get(name)
    if info is None:
        raise InputError(f"predictors.{name}: no such predictor; allowed: {', '.join(discover())}")
    module = importlib.import_module(f"sparse_attention.predictors.{info.module}")
    return getattr(module, info.class_name)(context)
