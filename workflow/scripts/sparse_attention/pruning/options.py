"""Options of the stages of a pruning, as the configuration gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, TypedDict

from sparse_attention.models.longformer import LongformerShape
from sparse_attention.training.options import OptimiserOptions

Pruning = TypedDict(
    "Pruning",
    {
        "variant": str,
        "mode": str,
        "score": str,
        "final": float,
        "ramp": str,
        "temperature": float,
        "lambda": float,
        "target": float | None,
    },
)
"""One entry of the configuration's `prunings`: values of `PruningSettings`, and `lambda`, the regulariser's weight."""


@dataclass(frozen=True)
class StageOptions(OptimiserOptions):
    """Options of the section `prune_hard`, which `train_classifier` and `prune_soft` have too.

    Attributes
    ----------
    epochs : int
        Passes over the train functions; from 1 on, or 0 in `prune_hard` for no training.
    warmup : float
        Share of the steps in which the learning rate rises from 0; from 0 to below 1.
    class_weights : bool
        Give both labels the same weight in the loss, however rare one is.
    eval_steps : int, optional
        Optimiser steps from one validation to the next, from 1 on; None: validation after every epoch.
    """

    epochs: int
    warmup: float
    class_weights: bool
    eval_steps: int | None


@dataclass(frozen=True)
class ClassifierOptions(StageOptions):
    """Options of the section `train_classifier`.

    Attributes
    ----------
    source : str, optional
        Folder of a classifier that is already trained and is used as it is.
    longformer : LongformerShape, optional
        Shape of the Longformer that the encoder becomes; None keeps its own architecture, as it does with `source`.
    """

    source: str | None
    longformer: LongformerShape | None

    @classmethod
    def of(cls, section: Mapping[str, Any]) -> Self:
        """Make the options from the section of the configuration."""
        shape = None if section["source"] else section["longformer"]
        return super().of({**section, "longformer": shape and LongformerShape(**shape)})


@dataclass(frozen=True)
class SoftOptions(StageOptions):
    """Options of the section `prune_soft`.

    Attributes
    ----------
    threshold_learning_rate : float
        Highest learning rate of the thresholds; above 0.
    threshold_weight_decay : float
        Weight decay of the thresholds; from 0 on.
    final_temperature : float, optional
        Temperature of the last soft step, above 0; None: the temperature does not change.
    hard_share : float
        Share of the steps, at the end, that have hard masks; from 0 to 1.
    """

    threshold_learning_rate: float
    threshold_weight_decay: float
    final_temperature: float | None
    hard_share: float
