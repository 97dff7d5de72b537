"""Fine-tune a masked language model; a resumed run gives the same bytes as one without interruption."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from transformers import PreTrainedModel

from sparse_attention.models.attention import Attention, set_attention
from sparse_attention.models.hub import offline
from sparse_attention.models.masked_lm import set_dropout
from sparse_attention.training.loop import (
    StepHooks,
    run_training,
    training_arguments,
    training_table,
)
from sparse_attention.training.losses import Losses
from sparse_attention.training.resuming import find_resume_point
from sparse_attention.training.task import MaskedLMTask
from sparse_attention.training.trainer import MaskedLMTrainer

METRICS, SETTINGS = ("loss",), ("learning_rate", "alpha")
"""Columns of `training.tsv`: the arguments `metrics` and `settings` of `training_table`."""


def train(
    model: PreTrainedModel, task: MaskedLMTask, attention: Attention, resume: Path, fingerprint: Mapping[str, object]
) -> tuple[pd.DataFrame, Losses]:
    """Fine-tune `model` in place, from the resume point in `resume` on when it is of the same training.

    Parameters
    ----------
    model : PreTrainedModel
        Loaded by `load_masked_lm`.
    task : MaskedLMTask
        Batches and options of the training.
    attention : Attention
        Attention of the trained model.
    resume : Path
        Folder of resume points; the caller removes it once the results are written.
    fingerprint : mapping
        Everything that the training depends on; a resume point with another fingerprint is not used.

    Returns
    -------
    table : DataFrame
        Content of `training.tsv`: step, phase, loss, learning_rate, alpha.
    after : Losses
        Losses of the trained model on the validation blocks.

    Raises
    ------
    SystemExit
        After SIGTERM or Ctrl-C, when the current step has ended and a resume point is saved.
    """
    point = find_resume_point(resume, fingerprint)
    options, hooks = task.options, StepHooks()
    with offline():
        arguments = training_arguments(
            options, options.steps, options.warmup_steps, options.eval_steps, task.seed, resume, model.device
        )
        trainer = MaskedLMTrainer(model, task, attention, arguments, hooks)
    if options.dropout is not None:
        set_dropout(model, options.dropout)
    if options.compile:
        model.base_model.compile()
    history = run_training(trainer, hooks, point)
    set_attention(model, attention)
    last = next(entry for entry in reversed(history) if "eval_loss" in entry)
    counts = int(last["eval_masked_tokens"]), int(last["eval_blocks"])
    after = Losses(last["eval_loss"], last["eval_accuracy"], *counts)
    return training_table(history, METRICS, SETTINGS), after
