"""The list of quirks; the modules beside this one enter theirs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

CHANGES = ("projections", "predictor", "masks", "metric", "gold", "examples", "attention")
T = TypeVar("T")


@dataclass(frozen=True)
class Quirk:
    """One deviation of the published code from what is meant.

    Attributes
    ----------
    name : str
        What switches it on.
    changes : str
        One of `CHANGES`.
    published : str
        What the published code does, in one sentence.
    does : callable
        The function or class that does it.
    """

    name: str
    changes: str
    published: str
    does: Callable[..., object]


QUIRKS: dict[str, Quirk] = {}


def quirk(name: str, changes: str, published: str) -> Callable[[T], T]:
    """Enter a function or class into `QUIRKS`."""

    def register(does: T) -> T:
        QUIRKS[name] = Quirk(name, changes, published, does)  # type: ignore[arg-type]
        return does

    return register
