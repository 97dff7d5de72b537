"""What the configuration says of the stages of a pruning."""

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
"""One entry of the configuration's `prunings`: the attributes of `PruningSettings`, and the regulariser's weight."""


@dataclass(frozen=True)
class StageOptions(OptimiserOptions):
    """The configuration's `prune_hard`, and what `train_classifier` and `prune_soft` have in common with it.

    Attributes
    ----------
    epochs : int
        Passes over the train functions; from 1 on, or 0 in `prune_hard` for no training.
    warmup : float
        Share of the steps in which the learning rate rises from 0; from 0 to below 1.
    class_weights : bool
        Whether both labels weigh the same in the loss.
    eval_steps : int, optional
        Optimiser steps from one validation to the next, from 1 on; None: validation after every epoch.
    """

    epochs: int
    warmup: float
    class_weights: bool
    eval_steps: int | None


@dataclass(frozen=True)
class ClassifierOptions(StageOptions):
    """The configuration's `train_classifier`.

    Attributes
    ----------
    source : str, optional
        A folder with a classifier that is already trained, and is used as it is.
    longformer : LongformerShape, optional
        What the encoder is made into; None leaves its own architecture.
    """

    source: str | None
    longformer: LongformerShape | None

    @classmethod
    def of(cls, section: Mapping[str, Any]) -> Self:
        """Read the section."""
        shape = section["longformer"]
        return super().of({**section, "longformer": shape and LongformerShape(**shape)})


@dataclass(frozen=True)
class SoftOptions(StageOptions):
    """The configuration's `prune_soft`.

    Attributes
    ----------
    threshold_learning_rate : float
        The highest of the thresholds; above 0.
    threshold_weight_decay : float
        Of the thresholds; from 0 on.
    final_temperature : float, optional
        The temperature of the last soft step, above 0; None: it stays.
    hard_share : float
        Share of the last steps that have hard masks; from 0 to 1.
    """

    threshold_learning_rate: float
    threshold_weight_decay: float
    final_temperature: float | None
    hard_share: float
