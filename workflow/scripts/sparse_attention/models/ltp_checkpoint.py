"""Load checkpoints of the published pruning code: Longformer classifiers with `model_type: ltp`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import LongformerConfig, LongformerForSequenceClassification

from sparse_attention.errors import InputError
from sparse_attention.models.folders import read_config
from sparse_attention.models.hub import guarded, refuse_not_finite
from sparse_attention.models.limits import LTP, limits_in
from sparse_attention.models.weights import BUFFERS, read_weights

logger = logging.getLogger(__name__)

OFFSET = ".attention.self.pruner.keep_threshold"
"""End of the name of a layer's threshold offset."""


def is_ltp(folder: Path | str) -> bool:
    """Return whether a folder's `config.json` declares such a checkpoint; raise as `read_config` does."""
    return read_config(folder).get("model_type") == LTP


def load_ltp(folder: Path | str) -> LongformerForSequenceClassification:
    """Load a checkpoint as an ordinary Longformer classifier, in float32 and evaluation mode.

    The checkpoint's thresholds are only logged: a zero-based ramp to `final_token_threshold`, plus an offset per layer
    that the published code never learns. The thresholds that are used come from `prunings` in the configuration.

    Raises
    ------
    InputError
        When a file is missing or damaged, or the weights are not those of a Longformer classifier.
    """
    folder = Path(folder)
    content = read_config(folder)
    limits_in(content, folder)
    weights = {name: value for name, value in read_weights(folder).items() if not name.endswith(BUFFERS)}
    offsets = {name: weights.pop(name) for name in list(weights) if name.endswith(OFFSET)}
    with guarded(f"{folder}: config.json does not describe a Longformer"):
        known = set(LongformerConfig().to_dict()) - {"model_type", "architectures"}
        kept = {name: value for name, value in content.items() if name in known}
        model = LongformerForSequenceClassification(LongformerConfig(**kept))
    with guarded(f"{folder}: the weights do not fit config.json"):
        report = model.load_state_dict({name: value.float() for name, value in weights.items()}, strict=False)
    missing = [name for name in report.missing_keys if not name.endswith(BUFFERS)]
    for names, what in ((missing, "are missing"), (report.unexpected_keys, "have no place in a Longformer classifier")):
        if names:
            text = f"{len(names)} weights {what}, such as {min(names)}"
            raise InputError(f"{folder}: {text}; allowed: a checkpoint of the published code")
    refuse_not_finite(model, folder)
    _log_thresholds(folder, content, offsets)
    return model.eval()


def _log_thresholds(folder: Path, content: dict[str, Any], offsets: dict[str, Tensor]) -> None:
    final = content.get("final_token_threshold", 0)
    largest = max((float(offset.abs().max()) for offset in offsets.values()), default=0.0)
    text = "no offset" if largest == 0 else f"offsets of up to {largest:g}"
    logger.info("%s: prune mode %s, ramp to %s, %s", folder, content.get("prune_mode"), final, text)
