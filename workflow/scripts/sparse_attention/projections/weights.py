"""Weights of one projection: their names, initialisation and application.

The weights of one side (queries or keys) are a dictionary with the names of the original code: both file formats then
hold the same tensors. A linear projection has `w` ``(heads, head_dim, dim)`` and `b` ``(heads, 1, dim)``. An MLP with
one tanh layer has `w1` ``(heads, head_dim, hidden)``, `b1` ``(heads, 1, hidden)``, `w2` ``(heads, hidden, dim)`` and
`b2` ``(heads, 1, dim)``. With `concat`, one projection takes the concatenated query and key of a position, so it has
2 · head_dim inputs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from sparse_attention.errors import InputError

Weights = dict[str, Tensor]
WEIGHT_NAMES = {"linear": ("w", "b"), "mlp": ("w1", "b1", "w2", "b2")}


@dataclass(frozen=True)
class ProjectionSetting:
    """The kind and the sizes of a projection: one entry of the configuration section `projections`.

    Attributes
    ----------
    kind : str
        linear or mlp.
    dim : int
        Dimension of projected vectors; at least 1.
    shared : bool
        Whether queries and keys have the same projection.
    hidden : int, optional
        Width of the hidden layer of an mlp; at least 1.
    block_size : int
        Number of tokens whose projected vectors are concatenated to one position, in the loss and in the features of
        predictors; at least 1.
    concat : bool
        Whether the concatenated query and key of a position are projected to one vector, which serves as both.
    """

    kind: str
    dim: int
    shared: bool
    hidden: int | None = None
    block_size: int = 1
    concat: bool = False

    @classmethod
    def of(cls, setting: Mapping[str, Any]) -> ProjectionSetting:
        """Build a setting from its configuration entry; raise `InputError` when a value is not allowed."""
        hidden = setting.get("hidden")
        if setting["kind"] not in WEIGHT_NAMES:
            raise InputError(f"projections.kind: {setting['kind']!r}; allowed here: {', '.join(WEIGHT_NAMES)}")
        if setting["kind"] == "mlp" and hidden is None:
            raise InputError("projections.hidden: missing; allowed for an mlp: a whole number from 1 on")
        width = int(hidden) if setting["kind"] == "mlp" and hidden is not None else None
        shared, concat = (setting.get(name, False) in (True, "true", "True") for name in ("shared", "concat"))
        if concat and not shared:
            raise InputError(
                "projections.shared: false; allowed with concat: true, as queries and keys are then projected together"
            )
        size = int(setting.get("block_size", 1))
        return cls(setting["kind"], int(setting["dim"]), shared, width, size, concat)

    def inputs(self, head_dim: int) -> int:
        """Return the number of inputs of the projection."""
        return 2 * head_dim if self.concat else head_dim


def initial_weights(setting: ProjectionSetting, heads: int, head_dim: int, generator: torch.Generator) -> Weights:
    """Draw the weights of one side, each head like torch's `Linear`: uniform within ±1/√fan_in.

    The original code passes the whole three-dimensional tensor to torch's initialiser. That takes head_dim × dim as the
    fan-in of `w`, and initialises `b` within ±1.
    """
    widths = [setting.inputs(head_dim), setting.dim]
    if setting.kind == "mlp":
        widths.insert(1, setting.hidden or 0)
    tensors = []
    for fan_in, fan_out in pairwise(widths):
        bound = 1 / math.sqrt(fan_in)
        for shape in ((heads, fan_in, fan_out), (heads, 1, fan_out)):
            tensors.append(torch.empty(shape).uniform_(-bound, bound, generator=generator))
    return dict(zip(WEIGHT_NAMES[setting.kind], tensors, strict=True))


def apply_weights(weights: Weights, vectors: Tensor) -> Tensor:
    """Project vectors, ``(…, heads, n, inputs)``, to ``(…, heads, n, dim)``."""
    if "w" in weights:
        return vectors @ weights["w"] + weights["b"]
    return torch.tanh(vectors @ weights["w1"] + weights["b1"]) @ weights["w2"] + weights["b2"]


def project_sides(
    weights: tuple[Weights, Weights], queries: Tensor, keys: Tensor, concat: bool
) -> tuple[Tensor, Tensor]:
    """Project queries and keys, each with its weights; with `concat`, both together.

    Parameters
    ----------
    weights : tuple of Weights
        Those of queries and of keys.
    queries, keys : Tensor
        ``(…, heads, queries, head_dim)`` and ``(…, heads, keys, head_dim)``.
    concat : bool
        Whether the concatenated query and key of a position are projected; both results are then the same tensor.

    Returns
    -------
    tuple of Tensor
        ``(…, heads, queries, dim)`` and ``(…, heads, keys, dim)``.
    """
    if concat:
        both = apply_weights(weights[0], torch.cat([queries, keys], -1))
        return both, both
    return apply_weights(weights[0], queries), apply_weights(weights[1], keys)


def check_lengths(query_lengths: Sequence[int], key_lengths: Sequence[int]) -> None:
    """Raise `InputError` when an example has not as many queries as keys, which `concat` needs."""
    for index, (queries, keys) in enumerate(zip(query_lengths, key_lengths, strict=True)):
        if queries != keys:
            raise InputError(
                f"projections.concat: true, but example {index} has {queries} queries and {keys} keys; allowed: true "
                "where every position has both, as in self-attention"
            )
