"""Check a folder of a sparse model when it is opened, and what the opened model is given."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from sparse_attention.errors import InputError, reason
from sparse_attention.models.attention import Attention
from sparse_attention.models.folders import CONFIG, read_config
from sparse_attention.models.limits import Limits, limits_of_model
from sparse_attention.models.masked_lm import run_small_batch
from sparse_attention.predictors.registry import PredictorInfo, discover
from sparse_attention.settings.schema import Schema, nearest

KEYS = {
    "predictor": {"type": "string"},
    "seed": {"type": "integer", "minimum": 0},
    "block_size": {"type": "integer", "minimum": 1},
    "projected": {"type": "boolean"},
    "attention": {"type": "string"},
    "window": {
        "type": "integer",
        "minimum": 0,
        "anyOf": [{"const": 0}, {"not": {"multipleOf": 2}}],
        "description": "0 or an odd whole number",
    },
    "keep": {"enum": ["none", "cls", "last", "cls+last"]},
    "dense_empty_rows": {"type": "boolean"},
    "setting": {"type": "object"},
}
"""Schemas of the content of the sidecar."""


def check_description(content: Mapping[str, Any], path: Path) -> PredictorInfo:
    """Check the content of a sidecar, and return what is known of its predictor.

    Raises
    ------
    InputError
        With a line for each mistake.
    """
    name = content.get("predictor")
    if not isinstance(name, str) or name not in discover():
        raise InputError(f"{path}: predictor: {name!r} is not known; {nearest(str(name), discover())}")
    info = discover()[name]
    setting = {
        "type": "object",
        "additionalProperties": False,
        "required": list(info.parameters),
        "properties": dict(info.parameters),
    }
    properties = {**KEYS, "setting": setting}
    schema = Schema({"type": "object", "additionalProperties": False, "required": list(KEYS), "properties": properties})
    problems = schema.problems(content)
    if problems:
        raise InputError(*(f"{path}: {'.'.join(map(str, one.key))}: {one.text}" for one in problems))
    return info


def check_attention(folder: Path | str, named: str, path: Path) -> Attention:
    """Return the attention that a sidecar names.

    Raises
    ------
    InputError
        When there is no such attention, or the model's `config.json` names another.
    """
    attention = Attention.parse(named, f"{path}: attention")
    found = read_config(folder).get("sparse_attention", asdict(attention))
    if found != asdict(attention):
        text = f"sparse_attention: {found} is not allowed; allowed: {asdict(attention)}, as in {path}"
        raise InputError(f"{Path(folder) / CONFIG}: {text}")
    return attention


def check_sizes(path: Path, found: Mapping[str, int], wanted: Mapping[str, Any]) -> None:
    """Raise `InputError`, with a line for each size `found` in a file that is not the one `wanted`; None is any."""
    wrong = {name: size for name, size in found.items() if wanted[name] not in (None, size)}
    if wrong:
        source = "as in the model and its predictor.json"
        raise InputError(
            *(f"{path}: {name}: {size}; allowed: {wanted[name]}, {source}" for name, size in wrong.items())
        )


def try_out(model: PreTrainedModel, place: Path) -> None:
    """Run a small batch; raise `InputError` that names the folder `place` when the predictors in it fail."""
    try:
        run_small_batch(model)
    except InputError as error:
        raise InputError(f"{place}: {error}") from None
    except Exception as error:
        allowed = "files that were saved together with the model"
        raise InputError(f"{place}: fails on a small batch: {reason(error)}; allowed: {allowed}") from None


def limit_length(model: PreTrainedModel) -> None:
    """Let `model` raise `InputError` for more tokens than it has positions, before it computes anything."""
    check = functools.partial(_check_length, limits_of_model(model))
    model.base_model.register_forward_pre_hook(check, with_kwargs=True)


def _check_length(limits: Limits, _: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
    given = arguments[0] if arguments else named.get("input_ids")
    given = named.get("inputs_embeds") if given is None else given
    if given is not None:  # else transformers says what is missing
        limits.check_length(given.shape[1], "number of tokens")
