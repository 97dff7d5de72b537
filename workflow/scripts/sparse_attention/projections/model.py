"""Learned maps of every head's queries and keys to few dimensions: linear, MLP or none.

A side's weights are a dictionary under the originals' own names, so that both file formats hold the same tensors:
`w (heads, head_dim, dim)`, `b (heads, 1, dim)` for linear, `w1 (heads, head_dim, hidden)`, `b1`,
`w2 (heads, hidden, dim)`, `b2` for an MLP with one tanh layer. With `concat` the one map of both sides takes the query
and the key of a position, one behind the other: 2 · head_dim inputs.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from sparse_attention.errors import InputError
from sparse_attention.files.atomic import atomic_path
from sparse_attention.files.plain import write_json
from sparse_attention.files.tensors import StrPath, is_safetensors, write_torch
from sparse_attention.projections.files import METADATA, read_form, read_layers, read_original_layers
from sparse_attention.projections.files import Weights as Weights

if TYPE_CHECKING:
    from sparse_attention.qk.store import QKInfo

NAMES = {"linear": ("w", "b"), "mlp": ("w1", "b1", "w2", "b2")}


@dataclass(frozen=True)
class ProjectionSetting:
    """What a projection is: one entry of the configuration's `projections`.

    Attributes
    ----------
    kind : str
        linear or mlp.
    dim : int
        Of projected vectors; from 1 on.
    shared : bool
        Whether queries and keys have one map.
    hidden : int, optional
        Width of the hidden layer of an mlp; from 1 on.
    block_size : int
        Tokens whose projected vectors make one position of the loss and of what predictors see; from 1 on.
    concat : bool
        Whether one map of a position's query and key, one behind the other, stands for both sides.
    """

    kind: str
    dim: int
    shared: bool
    hidden: int | None = None
    block_size: int = 1
    concat: bool = False

    @classmethod
    def of(cls, setting: Mapping[str, Any]) -> ProjectionSetting:
        """Read a setting from its configuration entry."""
        hidden = setting.get("hidden")
        if setting["kind"] not in NAMES:
            raise InputError(f"projections.kind: {setting['kind']!r}; allowed here: {', '.join(NAMES)}")
        if setting["kind"] == "mlp" and hidden is None:
            raise InputError("projections.hidden: missing; an mlp needs the width of its hidden layer")
        width = int(hidden) if setting["kind"] == "mlp" and hidden is not None else None
        shared, concat = (setting.get(name, False) in (True, "true", "True") for name in ("shared", "concat"))
        if concat and not shared:
            raise InputError("projections.shared: false; allowed with concat: true, it is one map of both sides")
        size = int(setting.get("block_size", 1))
        return cls(setting["kind"], int(setting["dim"]), shared, width, size, concat)

    def inputs(self, head_dim: int) -> int:
        """Give the width of the vectors that are projected."""
        return 2 * head_dim if self.concat else head_dim


def initial_weights(setting: ProjectionSetting, heads: int, head_dim: int, generator: torch.Generator) -> Weights:
    """Draw one side's weights, each head as torch's own `Linear` would be: uniform within ±1/√fan_in of that head.

    The originals give the whole three-dimensional tensor to torch's initialiser, which then takes head_dim × dim for
    the fan-in of `w` and 1 for that of `b` (biases within ±1).
    """
    widths = [setting.inputs(head_dim), setting.dim]
    if setting.kind == "mlp":
        widths.insert(1, setting.hidden or 0)
    tensors = []
    for fan_in, fan_out in pairwise(widths):
        bound = 1 / math.sqrt(fan_in)
        for shape in ((heads, fan_in, fan_out), (heads, 1, fan_out)):
            tensors.append(torch.empty(shape).uniform_(-bound, bound, generator=generator))
    return dict(zip(NAMES[setting.kind], tensors, strict=True))


def apply_weights(weights: Weights, vectors: Tensor) -> Tensor:
    """Project ``(…, heads, n, inputs)`` to ``(…, heads, n, dim)``."""
    if "w" in weights:
        return vectors @ weights["w"] + weights["b"]
    return torch.tanh(vectors @ weights["w1"] + weights["b1"]) @ weights["w2"] + weights["b2"]


def project_sides(
    weights: tuple[Weights, Weights], queries: Tensor, keys: Tensor, concat: bool
) -> tuple[Tensor, Tensor]:
    """Project queries and keys, each with its weights; with `concat` both together, then the two results are one."""
    if concat:
        both = apply_weights(weights[0], torch.cat([queries, keys], -1))
        return both, both
    return apply_weights(weights[0], queries), apply_weights(weights[1], keys)


def check_lengths(query_lengths: Sequence[int], key_lengths: Sequence[int]) -> None:
    """Raise `InputError` when examples have no query for each key, which `concat` needs."""
    for index, (queries, keys) in enumerate(zip(query_lengths, key_lengths, strict=True)):
        if queries != keys:
            raise InputError(
                f"projections.concat: true, but example {index} has {queries} queries and {keys} keys; allowed: true "
                "where every position has both, as in self-attention"
            )


@dataclass(frozen=True)
class Projections:
    """The projections of all layers, or the identity when there are none.

    Attributes
    ----------
    layers : for each layer the weights of queries and of keys; one and the same dictionary when they are shared.
    setting : None for the identity.
    head_dim : of the queries and keys.
    """

    layers: tuple[tuple[Weights, Weights], ...] = ()
    setting: ProjectionSetting | None = None
    heads: int = 0
    head_dim: int = 0

    @classmethod
    def identity(cls) -> Projections:
        """Leave queries and keys as they are."""
        return cls()

    @classmethod
    def of(
        cls, layers: Sequence[tuple[Weights, Weights]], where: StrPath = "projections", block_size: int = 1,
        concat: bool = False,
    ) -> Projections:  # fmt: skip
        """Build from the weights of each layer; raise `InputError` when they do not make one projection.

        Weights do not tell `block_size` and `concat`: see `ProjectionSetting`.
        """
        if not layers:
            raise InputError(f"{where}: holds no layers")
        first = _signature(layers[0][0], f"{where}: layer 0, queries")
        for layer, pair in enumerate(layers):
            for side, weights in zip(("queries", "keys"), pair, strict=True):
                place = f"{where}: layer {layer}, {side}"
                if _signature(weights, place) != first:
                    found, wanted = _shapes(weights), _shapes(layers[0][0])
                    raise InputError(f"{place}: shapes {found}, but layer 0 has {wanted}; all must be alike")
        kind, heads, inputs, hidden, dim = first
        same = all(q is k or all(torch.equal(q[name], k[name]) for name in NAMES[kind]) for q, k in layers)
        ordered = (tuple({name: side[name] for name in NAMES[kind]} for side in pair) for pair in layers)
        pairs = tuple((q, q if same else k) for q, k in ordered)
        if concat and (inputs % 2 or not same):
            text = "takes an even number of inputs, and has the same weights for queries and keys"
            raise InputError(f"{where}: {inputs} inputs, shared {same}; a projection of both together (concat) {text}")
        setting = ProjectionSetting(kind, dim, same, hidden, block_size, concat)
        return cls(pairs, setting, heads, inputs // setting.inputs(1))

    @property
    def cost(self) -> float:
        """Multiply-adds per head that projecting one vector takes; with `concat` two vectors share one projection."""
        if self.setting is None:
            return 0.0
        weights = sum(value.numel() for name, value in self.layers[0][0].items() if name.startswith("w"))
        return weights / self.heads / self.setting.inputs(1)

    def project(self, layer: int, queries: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        """Project one layer's queries and keys, ``(…, heads, n, head_dim)`` each, to ``(…, heads, n, dim)``."""
        if self.setting is None:
            return queries, keys
        if self.setting.concat:
            check_lengths([queries.shape[-2]], [keys.shape[-2]])
        of_queries, of_keys = (
            {name: value.to(x) for name, value in weights.items()}
            for weights, x in zip(self.layers[layer], (queries, keys), strict=True)
        )
        with torch.no_grad():
            return project_sides((of_queries, of_keys), queries, keys, self.setting.concat)

    def tensors(self) -> dict[str, Tensor]:
        """Give every tensor by name: `layer~0.both.w`, or `layer~0.queries.w` and `layer~0.keys.w`."""
        sides = ((0, "both"),) if self.setting and self.setting.shared else ((0, "queries"), (1, "keys"))
        return {
            f"layer~{layer}.{label}.{name}": value.contiguous().clone()
            for layer, pair in enumerate(self.layers) for side, label in sides for name, value in pair[side].items()
        }  # fmt: skip

    def save(self, path: StrPath, info: StrPath | None = None, source: Mapping[str, object] | None = None) -> None:
        """Write safetensors and, when asked, the JSON sidecar `info` that says what is in it and where from."""
        assert self.setting is not None
        tensors = self.tensors()
        with atomic_path(path) as partial:
            save_file(tensors, partial, {METADATA: json.dumps(asdict(self.setting))})
        if info is None:
            return
        facts = asdict(self.setting) | {"layers": len(self.layers), "heads": self.heads, "head_dim": self.head_dim}
        facts["tensors"] = {name: {"shape": list(t.shape), "dtype": str(t.dtype)[6:]} for name, t in tensors.items()}
        facts["source"] = dict(source or {})
        write_json(info, facts)

    def save_original(self, path: StrPath) -> None:
        """Write the originals' torch file: a list over layers of `{"q": weights, "k": weights}`."""
        write_torch([{"q": dict(queries), "k": dict(keys)} for queries, keys in self.layers], path)

    @classmethod
    def load(cls, path: StrPath, setting: ProjectionSetting | None = None) -> Projections:
        """Read our safetensors or the originals' torch file; raise `InputError` when it is neither or is damaged.

        Parameters
        ----------
        setting : gives the `block_size` and `concat` of a file that does not tell them, as original ones never do.
        """
        form = (setting.block_size, setting.concat) if setting else (1, False)
        if is_safetensors(path):
            return cls.of(read_layers(path), path, *(read_form(path) or form))
        return cls.of(read_original_layers(path), path, *form)


def load_projections(path: StrPath | Sequence[str] | None) -> Projections:
    """Load the projections of a script's input; no file (None or an empty list of inputs) is the identity."""
    if not path:
        return Projections.identity()
    return Projections.load(path if isinstance(path, str | os.PathLike) else path[0])


def check_projections(projections: Projections, setting: ProjectionSetting, info: QKInfo, where: StrPath) -> None:
    """Raise `InputError`, all differences at once, when projections do not fit a setting and the queries and keys."""
    found = projections.setting
    assert found is not None
    if setting.concat:
        check_lengths(info.query_lengths, info.key_lengths)
    wanted: dict[str, tuple[object, object]] = {
        "layers": (len(projections.layers), info.layers),
        "heads": (projections.heads, info.heads),
        "head_dim": (projections.head_dim, info.head_dim),
        **{f"projections.{name}": (getattr(found, name), value) for name, value in asdict(setting).items()},
    }
    wrong = [f"{name} is {ours}, must be {theirs}" for name, (ours, theirs) in wanted.items() if ours != theirs]
    if not setting.concat and projections.head_dim == 2 * info.head_dim:
        wrong.append("it seems to project queries and keys together (projections.concat: true)")
    elif setting.concat and 2 * projections.head_dim == info.head_dim:
        wrong.append("it seems to project queries and keys apart (projections.concat: false)")
    if wrong:
        raise InputError(f"fit_projections.source: {where}: {'; '.join(wrong)}")


def _signature(weights: Weights, where: str) -> tuple[str, int, int, int | None, int]:
    """Check one side's weights; give kind, heads, head_dim, hidden width and dim."""
    kind = next((kind for kind, names in NAMES.items() if set(weights) == set(names)), None)
    if kind is None:
        allowed = " or ".join(str(sorted(names)) for names in NAMES.values())
        raise InputError(f"{where}: tensors {sorted(weights)}; must be {allowed}")
    shapes = _shapes(weights)
    first, last = NAMES[kind][0], NAMES[kind][-2]
    if any(len(shape) != 3 for shape in shapes.values()):
        raise InputError(f"{where}: shapes {shapes}; every tensor must have three dimensions, heads first")
    heads, head_dim, hidden = shapes[first]
    dim = shapes[last][2]
    widths = [(head_dim, dim)] if kind == "linear" else [(head_dim, hidden), (hidden, dim)]
    rows = [shape for fan_in, fan_out in widths for shape in ((heads, fan_in, fan_out), (heads, 1, fan_out))]
    right = dict(zip(NAMES[kind], rows, strict=True))
    if shapes != right:
        raise InputError(f"{where}: shapes {shapes}; must be {right}")
    for name, value in weights.items():
        if not torch.isfinite(value).all():
            raise InputError(f"{where}: {name} holds NaN or infinite numbers")
    return kind, heads, head_dim, hidden if kind == "mlp" else None, dim


def _shapes(weights: Weights) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in weights.items()}
