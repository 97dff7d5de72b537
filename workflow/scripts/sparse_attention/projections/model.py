"""Learned projections of each head's queries and keys to few dimensions: linear, MLP or the identity."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import torch
from safetensors.torch import save_file
from torch import Tensor

from sparse_attention.errors import InputError
from sparse_attention.files.atomic import atomic_path
from sparse_attention.files.plain import write_json
from sparse_attention.files.tensors import StrPath, is_safetensors, write_torch
from sparse_attention.projections.files import METADATA, read_block_setting, read_layers, read_original_layers
from sparse_attention.projections.weights import WEIGHT_NAMES, ProjectionSetting, Weights, check_lengths, project_sides

if TYPE_CHECKING:
    from sparse_attention.qk.shape import AttentionShape


@dataclass(frozen=True)
class Projections:
    """The projections of all layers; without layers it is the identity.

    Attributes
    ----------
    layers : tuple of tuple
        For each layer the weights of queries and of keys; the same dictionary twice when they are shared.
    setting : ProjectionSetting, optional
        None for the identity.
    heads, head_dim : int
        Number and size of the heads of queries and keys; 0 for the identity.
    """

    layers: tuple[tuple[Weights, Weights], ...] = ()
    setting: ProjectionSetting | None = None
    heads: int = 0
    head_dim: int = 0

    @classmethod
    def identity(cls) -> Projections:
        """Return the identity, which leaves queries and keys as they are."""
        return cls()

    @classmethod
    def of(
        cls, layers: Sequence[tuple[Weights, Weights]], where: StrPath = "projections", block_size: int = 1,
        concat: bool = False,
    ) -> Projections:  # fmt: skip
        """Build projections from the weights of each layer.

        Parameters
        ----------
        layers : sequence of tuple
            For each layer the weights of queries and of keys.
        where : path-like
            Origin of the weights, for error messages.
        block_size, concat
            See `ProjectionSetting`; weights alone do not determine them.

        Raises
        ------
        InputError
            When there are no layers, when weights have wrong names, shapes or values, when they differ in shape, or
            when they do not fit `concat`.
        """
        if not layers:
            raise InputError(f"{where}: holds no layers; allowed: at least one")
        first = _signature(layers[0][0], f"{where}: layer 0, queries")
        for layer, pair in enumerate(layers):
            for side, weights in zip(("queries", "keys"), pair, strict=True):
                place = f"{where}: layer {layer}, {side}"
                if _signature(weights, place) != first:
                    found, wanted = _shapes(weights), _shapes(layers[0][0])
                    raise InputError(f"{place}: shapes {found}; allowed: {wanted}, as in layer 0")
        kind, heads, inputs, hidden, dim = first
        same = all(q is k or all(torch.equal(q[name], k[name]) for name in WEIGHT_NAMES[kind]) for q, k in layers)
        ordered = (tuple({name: side[name] for name in WEIGHT_NAMES[kind]} for side in pair) for pair in layers)
        pairs = tuple((q, q if same else k) for q, k in ordered)
        if concat and (inputs % 2 or not same):
            text = "an even number of inputs, and the same weights for queries and keys"
            raise InputError(f"{where}: {inputs} inputs, shared {same}; allowed with concat: {text}")
        setting = ProjectionSetting(kind, dim, same, hidden, block_size, concat)
        return cls(pairs, setting, heads, inputs // setting.inputs(1))

    @property
    def cost(self) -> float:
        """Multiply-adds per head to project one vector; with `concat`, half of those for a query and its key."""
        if self.setting is None:
            return 0.0
        weights = sum(value.numel() for name, value in self.layers[0][0].items() if name.startswith("w"))
        return weights / self.heads / self.setting.inputs(1)

    def project(self, layer: int, queries: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        """Project the queries and keys of one layer, without gradient.

        Parameters
        ----------
        layer : int
            Number of the layer.
        queries, keys : Tensor
            ``(…, heads, queries, head_dim)`` and ``(…, heads, keys, head_dim)``.

        Returns
        -------
        tuple of Tensor
            ``(…, heads, queries, dim)`` and ``(…, heads, keys, dim)``.
        """
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
        """Return every tensor by name: `layer~0.both.w`, or `layer~0.queries.w` and `layer~0.keys.w`."""
        sides = ((0, "both"),) if self.setting and self.setting.shared else ((0, "queries"), (1, "keys"))
        return {
            f"layer~{layer}.{label}.{name}": value.contiguous().clone()
            for layer, pair in enumerate(self.layers) for side, label in sides for name, value in pair[side].items()
        }  # fmt: skip

    def save(self, path: StrPath, info: StrPath | None = None, source: Mapping[str, object] | None = None) -> None:
        """Write safetensors, and to `info`, where given, a JSON sidecar with setting, shapes and `source`."""
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
        """Write the torch file of the original code: a list over layers of `{"q": weights, "k": weights}`."""
        write_torch([{"q": dict(queries), "k": dict(keys)} for queries, keys in self.layers], path)

    @classmethod
    def load(cls, path: StrPath, setting: ProjectionSetting | None = None) -> Projections:
        """Read our safetensors file or a torch file of the original code.

        Parameters
        ----------
        path : path-like
            The file.
        setting : ProjectionSetting, optional
            Gives `block_size` and `concat` where the file does not hold them; torch files never do.

        Raises
        ------
        InputError
            When the file is neither of these, or is damaged.
        """
        default = (setting.block_size, setting.concat) if setting else (1, False)
        if is_safetensors(path):
            return cls.of(read_layers(path), path, *(read_block_setting(path) or default))
        return cls.of(read_original_layers(path), path, *default)


def load_projections(path: StrPath | Sequence[str] | None) -> Projections:
    """Load the projections of a script's input; without a file (None or an empty list) return the identity."""
    if not path:
        return Projections.identity()
    return Projections.load(path if isinstance(path, str | os.PathLike) else path[0])


def check_projections(
    projections: Projections, setting: ProjectionSetting, shape: AttentionShape, where: StrPath
) -> None:
    """Raise `InputError`, with all differences, when projections do not fit their setting or the queries and keys."""
    found = projections.setting
    assert found is not None
    if setting.concat:
        check_lengths(shape.query_lengths, shape.key_lengths)
    sizes = {"layers": len(projections.layers), "heads": projections.heads, "head_dim": projections.head_dim}
    wrong = shape.differences(sizes)
    wrong += [
        f"projections.{name} is {getattr(found, name)}, must be {value}"
        for name, value in asdict(setting).items() if getattr(found, name) != value
    ]  # fmt: skip
    if not setting.concat and projections.head_dim == 2 * shape.head_dim:
        wrong.append("it seems to project queries and keys together (projections.concat: true)")
    elif setting.concat and 2 * projections.head_dim == shape.head_dim:
        wrong.append("it seems to project queries and keys apart (projections.concat: false)")
    if wrong:
        raise InputError(f"fit_projections.source: {where}: {'; '.join(wrong)}")


def _signature(weights: Weights, where: str) -> tuple[str, int, int, int | None, int]:
    """Check the weights of one side; return kind, heads, inputs, hidden width and dim."""
    kind = next((kind for kind, names in WEIGHT_NAMES.items() if set(weights) == set(names)), None)
    if kind is None:
        allowed = " or ".join(str(sorted(names)) for names in WEIGHT_NAMES.values())
        raise InputError(f"{where}: tensors {sorted(weights)}; allowed: {allowed}")
    shapes = _shapes(weights)
    first, last = WEIGHT_NAMES[kind][0], WEIGHT_NAMES[kind][-2]
    if any(len(shape) != 3 for shape in shapes.values()):
        raise InputError(f"{where}: shapes {shapes}; allowed: three dimensions for each tensor, heads first")
    heads, head_dim, hidden = shapes[first]
    dim = shapes[last][2]
    widths = [(head_dim, dim)] if kind == "linear" else [(head_dim, hidden), (hidden, dim)]
    rows = [shape for fan_in, fan_out in widths for shape in ((heads, fan_in, fan_out), (heads, 1, fan_out))]
    right = dict(zip(WEIGHT_NAMES[kind], rows, strict=True))
    if shapes != right:
        raise InputError(f"{where}: shapes {shapes}; allowed: {right}")
    for name, value in weights.items():
        if not torch.isfinite(value).all():
            raise InputError(f"{where}: {name} holds NaN or infinite numbers; allowed: finite numbers")
    return kind, heads, head_dim, hidden if kind == "mlp" else None, dim


def _shapes(weights: Weights) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in weights.items()}
