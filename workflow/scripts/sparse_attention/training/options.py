"""Options of trainings, as the configuration gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from sparse_attention.jobs.options import Options


@dataclass(frozen=True)
class OptimiserOptions(Options):
    """Options that all trainings share: batches, optimiser and resume points.

    Attributes
    ----------
    batch_size : int
        Blocks, or functions, of a batch; from 1 on.
    accumulation : int
        Batches of an optimiser step; from 1 on.
    learning_rate : float
        Highest learning rate, reached at the end of warm-up; above 0.
    schedule : str
        Course of the learning rate after warm-up: linear or cosine (both to 0), or constant.
    weight_decay : float
        Weight decay of AdamW; from 0 on.
    adam_epsilon : float
        Added to Adam's denominator; above 0.
    max_grad_norm : float
        Largest norm of the gradients, to which larger ones are scaled down; above 0.
    dropout : float, optional
        Dropout probability, from 0 to below 1; None keeps the model's own.
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
    """Annealing of entmax's alpha: a linear rise in the first steps of a training.

    Attributes
    ----------
    start : float, optional
        Alpha of the first step, above 1 and up to 2; None: alpha is fixed.
    steps : int
        Optimiser steps until alpha reaches that of the trained model; from 0 on.
    """

    start: float | None
    steps: int


@dataclass(frozen=True)
class TrainOptions(OptimiserOptions):
    """Options of the configuration's section `train_mlm`.

    Attributes
    ----------
    head : str
        Initialisation of a missing masked-language-model head: identity or random.
    steps : int
        Optimiser steps; from 1 on.
    warmup_steps : int
        Optimiser steps in which the learning rate rises from 0; from 0 on.
    mask_probability : float
        Probability that a token is masked; between 0 and 1.
    anneal : Anneal
        Annealing of alpha.
    eval_steps : int
        Optimiser steps from one validation to the next; from 1 on.
    eval_blocks : int, optional
        Number of validation blocks for the losses, from 1 on; None: all.
    bf16 : bool
        Compute matrix products in bfloat16.
    compile : bool
        Compile the model with `torch.compile`.
    source : str, optional
        Folder of a model that is already trained and is used as it is.
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
        """Make the options from the section of the configuration."""
        return super().of({**section, "anneal": Anneal(**section["anneal"])})
