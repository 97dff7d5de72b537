"""From one stage to the next: what the configuration says of a pruning, and what a soft stage learned."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from torch import Tensor

from sparse_attention.data.code.tokens import CodeTokens
from sparse_attention.files.atomic import atomic_path
from sparse_attention.files.checksums import sha256_of
from sparse_attention.models.hub import copy_tokenizer
from sparse_attention.pruning.model import PrunedClassifier
from sparse_attention.pruning.options import Pruning
from sparse_attention.pruning.prediction import predict
from sparse_attention.pruning.stored import make_pruned, save_pruned_model
from sparse_attention.pruning.thresholds import PruningSettings


def fingerprint_of(params: object, tokens: str, model: Path | str) -> dict[str, object]:
    """Return everything that a rule's training depends on: its `params`, and the checksums of tokens and model."""
    named = ("code", "seed", "threads", "options", "pruning")
    given = {name: getattr(params, name, None) for name in named}
    return {**given, "tokens": sha256_of(tokens), "model": sha256_of(model)}


def settings_of(pruning: Pruning, seed: int) -> PruningSettings:
    """Return the settings of one entry of `prunings`."""
    return PruningSettings(
        pruning["mode"],
        pruning["score"],
        pruning["final"],
        pruning["ramp"],
        pruning["temperature"],
        pruning["target"],
        seed,
        pruning["variant"],
    )


def save_stage(model: PrunedClassifier, source: Path | str, folder: str) -> None:
    """Write a model at once, with the tokenizer of the model in `source`."""
    with atomic_path(folder) as partial:
        save_pruned_model(model, partial)
        copy_tokenizer(source, partial)


def hardened(model: PrunedClassifier, pruning: Pruning, seed: int) -> PrunedClassifier:
    """Return a model whose thresholds no longer learn.

    A model that comes from a soft stage keeps its thresholds. One that comes from the dense stage gets the settings,
    since a share of tokens has no soft stage.
    """
    settings = settings_of(pruning, seed)
    result = model if settings.by_threshold else make_pruned(model.classifier, settings)
    result.thresholds.offset.requires_grad_(False)
    return result.eval()


def learned_by(model: PrunedClassifier, before: Tensor, tokens: CodeTokens, batch_size: int) -> pd.DataFrame:
    """Return the thresholds before and after, and the share of tokens that each layer leaves on validation.

    Returns
    -------
    DataFrame
        layer, base, before, after, kept.
    """
    predicted = predict(model, tokens, tokens.of("validation").tolist(), "hard", batch_size, model.can_drop)
    shares = (predicted.kept / predicted.lengths[:, None]).mean(0)
    after = model.thresholds.values().detach().cpu()
    base = model.thresholds.base.cpu()
    return pd.DataFrame(
        {"layer": range(len(after)), "base": base, "before": before, "after": after, "kept": shares}
    )  # fmt: skip
