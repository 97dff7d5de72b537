"""What the configuration says of a training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from sparse_attention.jobs.options import Options


@dataclass(frozen=True)
class OptimiserOptions(Options):
    """What the sections of all trainings say of batches, optimiser and resume points.

    Attributes
    ----------
    batch_size : int
        Blocks, or functions, of a batch; from 1 on.
    accumulation : int
        Batches of an optimiser step; from 1 on.
    learning_rate : float
        The highest, which warm-up ends at; above 0.
    schedule : str
        What follows warm-up: linear or cosine (to 0), or constant.
    weight_decay : float
        Of AdamW; from 0 on.
    adam_epsilon : float
        Added to Adam's denominator; above 0.
    max_grad_norm : float
        Gradients are scaled down to this norm; above 0.
    dropout : float, optional
        From 0 to below 1; None leaves the model's own.
    eval_batch_size : int
        Blocks, or functions, of a batch of validation; from 1 on.
    save_steps : int
        Optimiser steps from one resume point to the next; from 1 on.
    """

    batch_size: int
    accumulation: int
    learning_rate: float
    schedule: str
    weight_decay: float
    adam_epsilon: float
    max_grad_norm: float
    dropout: float | None
    eval_batch_size: int
    save_steps: int


@dataclass(frozen=True)
class Anneal:
    """How alpha rises while a model learns.

    Attributes
    ----------
    start : float, optional
        Alpha of the first step, above 1 up to 2; None: alpha is fixed.
    steps : int
        Optimiser steps until alpha is that of the trained model; from 0 on.
    """

    start: float | None
    steps: int


@dataclass(frozen=True)
class TrainOptions(OptimiserOptions):
    """The configuration's `train_mlm`.

    Attributes
    ----------
    head : str
        How a missing masked-language-model head starts: identity or random.
    steps : int
        Optimiser steps; from 1 on.
    warmup_steps : int
        Optimiser steps in which the learning rate rises from 0; from 0 on.
    mask_probability : float
        That a token is masked; between 0 and 1.
    anneal : Anneal
        How alpha rises.
    eval_steps : int
        Optimiser steps from one validation to the next; from 1 on.
    eval_blocks : int, optional
        Validation blocks for the losses, from 1 on; None: all.
    bf16 : bool
        Whether matrix products are in bfloat16.
    compile : bool
        Whether the model is compiled.
    source : str, optional
        A folder with a model that is already trained, and is used as it is.
    """

    head: str
    steps: int
    warmup_steps: int
    mask_probability: float
    anneal: Anneal
    eval_steps: int
    eval_blocks: int | None
    bf16: bool
    compile: bool
    source: str | None = None

    @classmethod
    def of(cls, section: Mapping[str, Any]) -> Self:
        """Read the section."""
        return super().of({**section, "anneal": Anneal(**section["anneal"])})
