"""Learned maps of every head's queries and keys to few dimensions: linear, MLP or none.

A side's weights are a dictionary under the originals' own names, so that both file formats hold the same tensors:
`w (heads, head_dim, dim)`, `b (heads, 1, dim)` for linear, `w1 (heads, head_dim, hidden)`, `b1`,
`w2 (heads, hidden, dim)`, `b2` for an MLP with one tanh layer.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from sparse_attention.errors import InputError
from sparse_attention.scriptio import atomic_path
from sparse_attention.torch_files import StrPath, is_safetensors, read_safetensors, read_torch, write_torch

Weights = dict[str, Tensor]
NAMES = {"linear": ("w", "b"), "mlp": ("w1", "b1", "w2", "b2")}


@dataclass(frozen=True)
class ProjectionSetting:
    """What a projection is: one entry of the configuration's `projections`."""

    kind: str
    dim: int
    shared: bool
    hidden: int | None = None

    @classmethod
    def of(cls, setting: Mapping[str, Any]) -> ProjectionSetting:
        """Read a setting from its configuration entry."""
        hidden = setting.get("hidden")
        if setting["kind"] not in NAMES:
            raise InputError(f"projections.kind: {setting['kind']!r}; allowed here: {', '.join(NAMES)}")
        if setting["kind"] == "mlp" and hidden is None:
            raise InputError("projections.hidden: missing; an mlp needs the width of its hidden layer")
        width = int(hidden) if setting["kind"] == "mlp" and hidden is not None else None
        return cls(setting["kind"], int(setting["dim"]), setting["shared"] in (True, "true", "True"), width)


def initial_weights(setting: ProjectionSetting, heads: int, head_dim: int, generator: torch.Generator) -> Weights:
    """Draw one side's weights, each head as torch's own `Linear` would be: uniform within ±1/√fan_in of that head.

    The originals give the whole three-dimensional tensor to torch's initialiser, which then takes head_dim × dim for
    the fan-in of `w` and 1 for that of `b` (biases within ±1).
    """
    widths = [head_dim, setting.dim] if setting.kind == "linear" else [head_dim, setting.hidden or 0, setting.dim]
    tensors = []
    for fan_in, fan_out in pairwise(widths):
        bound = 1 / math.sqrt(fan_in)
        for shape in ((heads, fan_in, fan_out), (heads, 1, fan_out)):
            tensors.append(torch.empty(shape).uniform_(-bound, bound, generator=generator))
    return dict(zip(NAMES[setting.kind], tensors, strict=True))


def apply_weights(weights: Weights, vectors: Tensor) -> Tensor:
    """Project `(…, heads, n, head_dim)` to `(…, heads, n, dim)`."""
    if "w" in weights:
        return vectors @ weights["w"] + weights["b"]
    return torch.tanh(vectors @ weights["w1"] + weights["b1"]) @ weights["w2"] + weights["b2"]


@dataclass(frozen=True)
class Projections:
    """The projections of all layers, or the identity when there are none.

    Attributes
    ----------
    layers : for each layer the weights of queries and of keys; one and the same dictionary when they are shared.
    setting : None for the identity.
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
    def of(cls, layers: Sequence[tuple[Weights, Weights]], where: StrPath = "projections") -> Projections:
        """Build from the weights of each layer; raise `InputError` when they do not make one projection."""
        if not layers:
            raise InputError(f"{where}: holds no layers")
        first = _signature(layers[0][0], f"{where}: layer 0, queries")
        for layer, pair in enumerate(layers):
            for side, weights in zip(("queries", "keys"), pair, strict=True):
                place = f"{where}: layer {layer}, {side}"
                if _signature(weights, place) != first:
                    found, wanted = _shapes(weights), _shapes(layers[0][0])
                    raise InputError(f"{place}: shapes {found}, but layer 0 has {wanted}; all must be alike")
        kind, heads, head_dim, hidden, dim = first
        same = all(q is k or all(torch.equal(q[name], k[name]) for name in NAMES[kind]) for q, k in layers)
        ordered = (tuple({name: side[name] for name in NAMES[kind]} for side in pair) for pair in layers)
        pairs = tuple((q, q if same else k) for q, k in ordered)
        return cls(pairs, ProjectionSetting(kind, dim, same, hidden), heads, head_dim)

    def project(self, layer: int, queries: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        """Project one layer's queries and keys, `(…, heads, n, head_dim)` each, to `(…, heads, n, dim)`."""
        if not self.layers:
            return queries, keys
        with torch.no_grad():
            of_queries, of_keys = (
                apply_weights({name: value.to(x) for name, value in weights.items()}, x)
                for weights, x in zip(self.layers[layer], (queries, keys), strict=True)
            )
        return of_queries, of_keys

    def tensors(self) -> dict[str, Tensor]:
        """Give every tensor by name: `layer~0.both.w`, or `layer~0.queries.w` and `layer~0.keys.w`."""
        sides = ((0, "both"),) if self.setting and self.setting.shared else ((0, "queries"), (1, "keys"))
        return {
            f"layer~{layer}.{label}.{name}": value.contiguous().clone()
            for layer, pair in enumerate(self.layers) for side, label in sides for name, value in pair[side].items()
        }  # fmt: skip

    def save(self, path: StrPath, info: StrPath | None = None, source: Mapping[str, Any] | None = None) -> None:
        """Write safetensors and, when asked, the JSON sidecar `info` that says what is in it and where from."""
        tensors = self.tensors()
        with atomic_path(path) as partial:
            save_file(tensors, partial)
        if info is None or self.setting is None:
            return
        facts = asdict(self.setting) | {"layers": len(self.layers), "heads": self.heads, "head_dim": self.head_dim}
        facts["tensors"] = {name: {"shape": list(t.shape), "dtype": str(t.dtype)[6:]} for name, t in tensors.items()}
        facts["source"] = dict(source or {})
        with atomic_path(info) as partial:
            partial.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")

    def save_original(self, path: StrPath) -> None:
        """Write the originals' torch file: a list over layers of `{"q": weights, "k": weights}`."""
        write_torch([{"q": dict(queries), "k": dict(keys)} for queries, keys in self.layers], path)

    @classmethod
    def load(cls, path: StrPath) -> Projections:
        """Read our safetensors or the originals' torch file; raise `InputError` when it is neither or is damaged."""
        layers = _layers_of_safetensors(path) if is_safetensors(path) else _layers_of_original(path)
        return cls.of(layers, where=path)


def load_projections(path: StrPath | Sequence[str] | None) -> Projections:
    """Load the projections of a script's input; no file (None or an empty list of inputs) is the identity."""
    if not path:
        return Projections.identity()
    return Projections.load(path if isinstance(path, str | os.PathLike) else path[0])


def check_projections(projections: Projections, setting: ProjectionSetting, info: Any, where: StrPath) -> None:
    """Raise `InputError`, all differences at once, when projections do not fit a setting and the queries and keys.

    Parameters
    ----------
    info : the `QKInfo` of the queries and keys.
    """
    found = projections.setting
    assert found is not None
    wanted: dict[str, tuple[Any, Any]] = {
        "layers": (len(projections.layers), info.layers),
        "heads": (projections.heads, info.heads),
        "head_dim": (projections.head_dim, info.head_dim),
        **{f"projections.{name}": (getattr(found, name), value) for name, value in asdict(setting).items()},
    }
    wrong = [f"{name} is {ours}, must be {theirs}" for name, (ours, theirs) in wanted.items() if ours != theirs]
    if projections.head_dim == 2 * info.head_dim:
        wrong.append("it seems to project concatenated queries and keys, which is not supported")
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


def _layers_of_safetensors(path: StrPath) -> list[tuple[Weights, Weights]]:
    layers: dict[int, dict[str, Weights]] = {}
    for name, value in read_safetensors(path).items():
        parts = re.fullmatch(r"layer~(\d+)\.(both|queries|keys)\.(\w+)", name)
        if not parts:
            raise InputError(f"{path}: tensor {name!r}; names must look like layer~0.both.w or layer~0.queries.w")
        layer, side, weight = parts.groups()
        layers.setdefault(int(layer), {}).setdefault(side, {})[weight] = value.to(torch.float32)
    pairs = []
    for number in range(len(layers)):
        sides = layers.get(number, {})
        if sorted(sides) not in (["both"], ["keys", "queries"]):
            raise InputError(f"{path}: layer {number} has {sorted(sides)}; must have both, or queries and keys")
        pairs.append((sides["both"], sides["both"]) if "both" in sides else (sides["queries"], sides["keys"]))
    return pairs


def _layers_of_original(path: StrPath) -> list[tuple[Weights, Weights]]:
    content = read_torch(path)
    if not isinstance(content, list | tuple):
        raise InputError(f"{path}: holds a {type(content).__name__}; must be a list over layers of {{q, k}} states")
    return [
        (_side(entry, "q", f"{path}: layer {layer}"), _side(entry, "k", f"{path}: layer {layer}"))
        for layer, entry in enumerate(content)
    ]


def _side(entry: Any, side: str, where: str) -> Weights:
    if not isinstance(entry, dict) or not isinstance(entry.get(side), dict):
        raise InputError(f"{where}: must be a mapping with the states q and k; {side!r} is missing")
    for name, value in entry[side].items():
        if not isinstance(value, Tensor) or not value.is_floating_point():
            raise InputError(f"{where}: {side}.{name} must be a tensor of floating-point numbers")
    return {str(name): value.detach().to(torch.float32).contiguous().clone() for name, value in entry[side].items()}
