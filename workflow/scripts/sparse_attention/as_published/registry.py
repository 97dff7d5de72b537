"""The registry of quirks, filled by the other modules of this package."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

CHANGES = ("projections", "predictor", "masks", "metric", "gold", "examples", "attention")
T = TypeVar("T")


@dataclass(frozen=True)
class Quirk:
    """One behaviour of the published code that its paper does not describe, or that looks unintended.

    Attributes
    ----------
    name : str
        Name, under which tables and the documentation list it.
    changes : str
        Part of the pipeline that it changes, one of `CHANGES`.
    published : str
        What the published code does, in one sentence.
    implementation : callable
        The function or class that reproduces it.
    """

    name: str
    changes: str
    published: str
    implementation: Callable[..., object]


QUIRKS: dict[str, Quirk] = {}


def quirk(name: str, changes: str, published: str) -> Callable[[T], T]:
    """Return a decorator that enters a function or class into `QUIRKS`; arguments as for `Quirk`."""

    def register(implementation: T) -> T:
        QUIRKS[name] = Quirk(name, changes, published, implementation)  # type: ignore[arg-type]
        return implementation

    return register
