"""Transformers' Trainer for the masked-language-model task."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    PreTrainedModel,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from sparse_attention.models.attention import Attention, set_attention
from sparse_attention.models.losses import masked_logits
from sparse_attention.models.task import MaskedLMTask
from sparse_attention.scriptio import ProgressBar

logger = logging.getLogger(__name__)

SCHEDULES = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}


class MaskedLMTrainer(Trainer):
    """Transformers' Trainer with our loss, our validation and alpha in its log.

    Parameters
    ----------
    model : PreTrainedModel
        With our attention.
    task : MaskedLMTask
        What to train on.
    attention : Attention
        Of the trained model; annealing ends there.
    arguments : TrainingArguments
        Made by `training_arguments`.
    course : Course
        Through which the training is told to end.
    """

    # Sums are divided by the masked tokens of all accumulated batches, so each of these weighs the same
    loss_is_scaled_for_ga = True

    def __init__(
        self,
        model: PreTrainedModel,
        task: MaskedLMTask,
        attention: Attention,
        arguments: TrainingArguments,
        course: Course,
    ) -> None:
        items, collator = task.training_items()
        self.masked_lm, self.task, self.attention = model, task, attention
        super().__init__(model=model, args=arguments, train_dataset=items, eval_dataset=items, data_collator=collator)
        self.model_accepts_loss_kwargs = True  # makes Trainer count the masked tokens of accumulated batches
        self.remove_callback(PrinterCallback)
        course.trainer = self
        self.add_callback(course)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Return the cross-entropy of the masked tokens; the others are not decoded."""
        unwrapped = self.accelerator.unwrap_model(model)
        logits, targets = masked_logits(unwrapped, inputs, self.task.options["bf16"])
        loss = nn.functional.cross_entropy(logits, targets, reduction="sum")
        return loss / max(int(num_items_in_batch or len(targets)), 1)

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Measure on the fixed validation blocks and log it."""
        losses = self.task.measure(self.masked_lm)
        metrics = {f"eval_{name}": value for name, value in vars(losses).items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        logger.info("step %d: validation loss %.4f", self.state.global_step, losses.loss)
        return metrics

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add alpha to what is logged."""
        super().log({**logs, "alpha": self.masked_lm.config.sparse_attention["alpha"]}, start_time)

    def alpha_at(self, step: int) -> float:
        """Return alpha for optimiser step `step`, counted from 0."""
        anneal, end = self.task.options["anneal"], self.attention.alpha
        if self.attention.kind == "softmax" or anneal["start"] is None or step >= anneal["steps"]:
            return end
        return float(anneal["start"] + (end - anneal["start"]) * step / anneal["steps"])


class Course(TrainerCallback):
    """Sets alpha, shows progress, evaluates at the last step, and ends the training when `stop` is set."""

    trainer: MaskedLMTrainer

    def __init__(self) -> None:
        self.stop = False
        self.bar: ProgressBar | None = None

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Start the progress bar."""
        self.bar = ProgressBar(state.max_steps, "training")
        self.bar.resume_at(state.global_step)

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Set alpha for this step."""
        kind = self.trainer.attention.kind
        set_attention(self.trainer.masked_lm, Attention(kind, self.trainer.alpha_at(state.global_step)))

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Evaluate after the last step; save and end when told to."""
        if state.global_step >= state.max_steps:
            control.should_evaluate = True
        if self.stop:
            control.should_save = control.should_training_stop = True

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **extra: Any) -> None:
        """Show the loss."""
        loss = extra["logs"].get("loss")
        if self.bar is not None and loss is not None:
            self.bar.update(state.global_step, f"loss {loss:.3f}")


def training_arguments(task: MaskedLMTask, resume: Path, device: torch.device) -> TrainingArguments:
    """Translate `train_mlm` of the configuration for Trainer; every step is logged, so that resuming loses none."""
    options = task.options
    if device.type == "cuda":
        os.environ["ACCELERATE_TORCH_DEVICE"] = str(device)
    arguments = TrainingArguments(
        output_dir=str(resume),
        max_steps=options["steps"],
        per_device_train_batch_size=options["batch_size"],
        gradient_accumulation_steps=options["accumulation"],
        learning_rate=options["learning_rate"],
        lr_scheduler_type=SCHEDULES[options["schedule"]],
        warmup_steps=options["warmup_steps"],
        weight_decay=options["weight_decay"],
        adam_epsilon=options["adam_epsilon"],
        max_grad_norm=options["max_grad_norm"],
        optim="adamw_torch_fused" if device.type in ("cpu", "cuda") else "adamw_torch",
        train_sampling_strategy="sequential",
        logging_steps=1,
        logging_nan_inf_filter=False,
        eval_strategy="steps",
        eval_steps=options["eval_steps"],
        save_strategy="steps",
        save_steps=options["save_steps"],
        save_total_limit=1,
        seed=task.seed,
        use_cpu=device.type == "cpu",
        dataloader_pin_memory=device.type == "cuda",
        remove_unused_columns=False,
        label_names=["labels"],
        disable_tqdm=True,
        report_to="none",
    )
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1  # one device: DataParallel would split the batch and change the result
    return arguments
