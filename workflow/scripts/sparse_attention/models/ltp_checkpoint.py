"""Opens checkpoints of the published pruning code, whose Longformer classifier has a model type of its own."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import LongformerConfig, LongformerForSequenceClassification

from sparse_attention.errors import InputError
from sparse_attention.torch_files import read_safetensors, read_torch

logger = logging.getLogger(__name__)

MODEL_TYPE = "ltp"
OFFSET = ".attention.self.pruner.keep_threshold"
LEFT_OUT = ("position_ids",)
"""Buffers that older libraries stored."""


def is_ltp(folder: Path | str) -> bool:
    """Return whether a folder's `config.json` says that it is such a checkpoint."""
    try:
        content = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("model_type") == MODEL_TYPE


def load_ltp(folder: Path | str) -> LongformerForSequenceClassification:
    """Load a checkpoint as an ordinary Longformer classifier, in float32 and evaluation mode.

    Its thresholds are told in the log: a ramp to `final_token_threshold`, zero-based, plus an offset per layer that its
    code never learns. `prunings` says which thresholds are used here.

    Raises
    ------
    InputError
        When a file is missing or damaged, or the weights are not those of a Longformer classifier.
    """
    folder = Path(folder)
    content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    known = set(LongformerConfig().to_dict())
    known -= {"model_type", "architectures"}
    kept = {name: value for name, value in content.items() if name in known}
    model = LongformerForSequenceClassification(LongformerConfig(**kept))
    weights = {name: value for name, value in _read_weights(folder).items() if not name.endswith(LEFT_OUT)}
    offsets = {name: weights.pop(name) for name in list(weights) if name.endswith(OFFSET)}
    try:
        report = model.load_state_dict({name: value.float() for name, value in weights.items()}, strict=False)
    except RuntimeError as error:
        raise InputError(f"{folder}: its weights do not fit its config.json: {error}") from None
    missing = [name for name in report.missing_keys if not name.endswith(LEFT_OUT)]
    if missing or report.unexpected_keys:
        names = sorted([*missing, *report.unexpected_keys])
        raise InputError(f"{folder}: {names[0]} is missing or unknown; allowed: a checkpoint of the published code")
    _tell(folder, content, offsets)
    return model.eval()


def _read_weights(folder: Path) -> dict[str, Tensor]:
    if (folder / "model.safetensors").is_file():
        return read_safetensors(folder / "model.safetensors")
    if not (folder / "pytorch_model.bin").is_file():
        raise InputError(f"{folder}: no model.safetensors and no pytorch_model.bin; allowed: a checkpoint folder")
    weights = read_torch(folder / "pytorch_model.bin")
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise InputError(f"{folder / 'pytorch_model.bin'}: holds no weights by name; allowed: a checkpoint's weights")
    return weights


def _tell(folder: Path, content: dict[str, Any], offsets: dict[str, Tensor]) -> None:
    final = content.get("final_token_threshold", 0)
    largest = max((float(offset.abs().max()) for offset in offsets.values()), default=0.0)
    text = "no offset" if largest == 0 else f"offsets of up to {largest:g}"
    logger.info("%s: prune mode %s, ramp to %s, %s", folder, content.get("prune_mode"), final, text)
