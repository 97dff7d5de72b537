"""Steps between the stages of a pruning: settings, hardening, saving, and the table of learned thresholds."""

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
    """Return everything that a rule's training depends on.

    Parameters
    ----------
    params
        `params` of the rule, of which those that affect training are taken.
    tokens, model : path-like
        Input files, whose checksums are taken.
    """
    named = ("code", "seed", "threads", "device", "options", "pruning", "max_tokens")
    given = {name: getattr(params, name, None) for name in named}
    return {**given, "tokens": sha256_of(tokens), "model": sha256_of(model)}


def settings_of(pruning: Pruning, seed: int) -> PruningSettings:
    """Return the settings of one entry of the configuration's `prunings`."""
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
    """Write a model and the tokenizer of the folder `source`; `folder` appears only when it is complete."""
    with atomic_path(folder) as partial:
        save_pruned_model(model, partial)
        copy_tokenizer(source, partial)


def hardened(model: PrunedClassifier, pruning: Pruning, seed: int) -> PrunedClassifier:
    """Return a model for the hard stage, whose thresholds no longer learn.

    With a mode that uses thresholds, `model` comes from the soft stage and keeps its thresholds. With a mode that keeps
    a share of tokens there is no soft stage: `model` comes from the dense stage and gets the settings of `pruning`.
    """
    settings = settings_of(pruning, seed)
    result = model if settings.by_threshold else make_pruned(model.classifier, settings)
    result.thresholds.offset.requires_grad_(False)
    return result.eval()


def learned_by(model: PrunedClassifier, before: Tensor, tokens: CodeTokens, batch_size: int) -> pd.DataFrame:
    """Return the thresholds before and after a soft stage, and the share of tokens that each layer leaves.

    Parameters
    ----------
    model : PrunedClassifier
        Model after the soft stage.
    before : Tensor
        Thresholds before it, ``(layers,)``.
    tokens : CodeTokens
        Tokens, of which the validation split is pruned.
    batch_size : int
        Functions of a batch.

    Returns
    -------
    DataFrame
        One row per layer with the columns layer, base, before, after, kept.
    """
    predicted = predict(model, tokens, tokens.of("validation").tolist(), "hard", batch_size, model.can_drop)
    shares = (predicted.kept / predicted.lengths[:, None]).mean(0)
    after = model.thresholds.values().detach().cpu()
    base = model.thresholds.base.cpu()
    return pd.DataFrame(
        {"layer": range(len(after)), "base": base, "before": before, "after": after, "kept": shares}
    )  # fmt: skip
