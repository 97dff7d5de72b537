"""The loop of all trainings: its arguments, and hooks before and after each step.

A resumed training gives the same bytes as one that was not interrupted.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import TypeVar

import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import (
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from sparse_attention.jobs.progress import ProgressBar
from sparse_attention.models.hub import offline
from sparse_attention.training.options import OptimiserOptions

logger = logging.getLogger(__name__)

SCHEDULES = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}
"""Names of schedules in transformers, by their names in the configuration."""
Item = TypeVar("Item")
Log = list[dict[str, float]]
"""Trainer's log: one entry per training step and per validation."""


class HookedTrainer(Trainer):
    """Transformers' Trainer with a hook before each step, and without its printing.

    Parameters
    ----------
    hooks : StepHooks
        Its `stop` ends the training.
    model : nn.Module
        The model that is trained.
    arguments : TrainingArguments
        Made by `training_arguments`.
    items : Dataset
        All items of the training, in order.
    collator : callable
        Turns a list of items into a batch.
    """

    def __init__(
        self,
        hooks: StepHooks,
        model: nn.Module,
        arguments: TrainingArguments,
        items: Dataset[Item],
        collator: Callable[[list[Item]], dict[str, Tensor]],
    ) -> None:
        super().__init__(model, arguments, collator, train_dataset=items, eval_dataset=items)
        self.remove_callback(PrinterCallback)
        hooks.trainer = self
        self.add_callback(hooks)

    def before_step(self, step: int) -> None:
        """Prepare optimiser step `step`, counted from 0; by default do nothing."""

    def validation_metrics(self) -> dict[str, float]:
        """Return the metrics of the model on validation, by name."""
        raise NotImplementedError

    def evaluate(self, *_: object, **__: object) -> dict[str, float]:
        """Log the validation metrics, with `eval_` before their names."""
        metrics = {f"eval_{name}": value for name, value in self.validation_metrics().items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


class StepHooks(TrainerCallback):
    """Call `before_step`, show progress, evaluate after the last step, and end the training when `stop` is set."""

    trainer: HookedTrainer

    def __init__(self) -> None:
        self.stop = False
        self.bar: ProgressBar | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """Start the progress bar."""
        self.bar = ProgressBar(state.max_steps, "training")
        self.bar.resume_at(state.global_step)

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """Call the trainer's `before_step`."""
        self.trainer.before_step(state.global_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """Evaluate after the last step; save a resume point and end the training when `stop` is set."""
        if state.global_step >= state.max_steps:
            control.should_evaluate = True
        if self.stop:
            control.should_save = control.should_training_stop = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **_: object,
    ) -> None:
        """Show the loss in the progress bar."""
        loss = (logs or {}).get("loss")
        if self.bar is not None and loss is not None:
            self.bar.update(state.global_step, f"loss {loss:.3f}")


def training_arguments(
    options: OptimiserOptions,
    steps: int,
    warmup_steps: int,
    eval_steps: int,
    seed: int,
    resume: Path,
    device: torch.device,
) -> TrainingArguments:
    """Return Trainer's arguments for the training options of a configuration.

    Every step is logged, so that the log of a resumed training is complete.

    Parameters
    ----------
    options : OptimiserOptions
        Batches, optimiser and resume points.
    steps, warmup_steps : int
        Optimiser steps of the whole training, and of its warm-up.
    eval_steps : int
        Optimiser steps from one validation to the next.
    seed : int
        Seed that Trainer sets before training.
    resume : Path
        Folder of resume points.
    device : torch.device
        Device of the model.
    """
    if device.type == "cuda":
        os.environ["ACCELERATE_TORCH_DEVICE"] = str(device)
    arguments = TrainingArguments(
        output_dir=str(resume),
        max_steps=steps,
        per_device_train_batch_size=options.batch_size,
        gradient_accumulation_steps=options.accumulation,
        learning_rate=options.learning_rate,
        lr_scheduler_type=SCHEDULES[options.schedule],
        warmup_steps=warmup_steps,
        weight_decay=options.weight_decay,
        adam_epsilon=options.adam_epsilon,
        max_grad_norm=options.max_grad_norm,
        optim="adamw_torch_fused" if device.type in ("cpu", "cuda") else "adamw_torch",
        train_sampling_strategy="sequential",
        logging_steps=1,
        logging_nan_inf_filter=False,
        eval_strategy="steps",
        eval_steps=eval_steps,
        save_strategy="steps",
        save_steps=options.save_steps,
        save_total_limit=1,
        seed=seed,
        use_cpu=device.type == "cpu",
        dataloader_pin_memory=device.type == "cuda",
        remove_unused_columns=False,
        label_names=["labels"],
        disable_tqdm=True,
        report_to="none",
    )
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1  # with several devices DataParallel would split the batch and change the result
    return arguments


def run_training(trainer: HookedTrainer, hooks: StepHooks, point: Path | None) -> Log:
    """Train to the end, from resume point `point` on where there is one, and return Trainer's log.

    Raises
    ------
    SystemExit
        After SIGTERM or Ctrl-C, when the current step has ended and a resume point is saved.
    """
    with offline(), _stop_after_step(hooks):
        trainer.train(resume_from_checkpoint=None if point is None else str(point))
    if trainer.state.global_step < trainer.args.max_steps:
        logger.info(
            "stopped after step %d; run the same command again to continue from there", trainer.state.global_step
        )
        raise SystemExit(128 + signal.SIGTERM)
    history: Log = trainer.state.log_history
    return history


def training_table(history: Log, metrics: Sequence[str], settings: Sequence[str]) -> pd.DataFrame:
    """Turn Trainer's log into a table with one row per training step and per validation.

    Parameters
    ----------
    history : list of dict
        Result of `run_training`.
    metrics : sequence of str
        Names of logged metrics; in entries of validation, `eval_` stands before the name.
    settings : sequence of str
        Names of logged settings, the same in entries of training and of validation.

    Returns
    -------
    DataFrame
        Columns step, phase (train or validation), and one for each of `metrics` and `settings`.
    """
    rows = [
        {"step": entry["step"], "phase": phase}
        | {name: entry.get(f"{prefix}{name}") for name in metrics}
        | {name: entry.get(name) for name in settings}
        for entry in history
        for phase, prefix in (("train", ""), ("validation", "eval_"))
        if f"{prefix}loss" in entry
    ]
    return pd.DataFrame(rows, columns=["step", "phase", *metrics, *settings])


@contextlib.contextmanager
def _stop_after_step(hooks: StepHooks) -> Iterator[None]:
    """Stop training after the current step at the first SIGTERM or SIGINT; a second one ends the process as usual."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def handle(number: int, _: FrameType | None) -> None:
        logger.info("%s: saving a resume point after this step", signal.Signals(number).name)
        restore()
        hooks.stop = True

    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        restore()
