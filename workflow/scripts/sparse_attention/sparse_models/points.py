"""A point of a predictor as a model uses it: its setting, and the pairs that are kept besides its support."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from sparse_attention.settings.sparse_points import EXTRAS


@dataclass(frozen=True)
class Point:
    """A setting of a predictor, and what is added to the supports that it predicts.

    Attributes
    ----------
    setting : mapping
        The predictor's settings, without fitted ones.
    window : int
        Number of neighbours that are always kept: 0 or an odd number.
    keep : str
        Tokens whose rows and columns are always kept, see `attention.masks.keep_mask`.
    dense_empty_rows : bool
        Whether a query without any kept key attends to all keys, as in the published code; by default its attention
        output is zero.
    """

    setting: Mapping[str, Any]
    window: int = 0
    keep: str = "none"
    dense_empty_rows: bool = False

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Make the point of an entry of the configuration, in which all values stand side by side."""
        extras = {name: values[name] for name in EXTRAS if name in values}
        return cls({name: value for name, value in values.items() if name not in EXTRAS}, **extras)

    @property
    def extras(self) -> dict[str, Any]:
        """Window, kept tokens and `dense_empty_rows` by name."""
        return {name: value for name, value in asdict(self).items() if name in EXTRAS}
