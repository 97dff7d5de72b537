"""Transformers' Trainer for the masked-language-model task."""

from __future__ import annotations

import logging

from torch import Tensor, nn
from transformers import PreTrainedModel, TrainingArguments

from sparse_attention.models.attention import Attention, set_attention
from sparse_attention.training.loop import HookedTrainer, StepHooks
from sparse_attention.training.losses import masked_logits
from sparse_attention.training.task import MaskedLMTask

logger = logging.getLogger(__name__)


class MaskedLMTrainer(HookedTrainer):
    """Trainer with the loss of masked tokens, annealed alpha, and validation on fixed masks.

    Parameters
    ----------
    model : PreTrainedModel
        Loaded by `load_masked_lm`.
    task : MaskedLMTask
        Training items and validation.
    attention : Attention
        Attention of the trained model, at which annealing ends.
    arguments : TrainingArguments
        Made by `training_arguments`.
    hooks : StepHooks
        Its `stop` ends the training.
    """

    # compute_loss divides by the masked tokens of all accumulated batches; Trainer must not divide once more
    loss_is_scaled_for_ga = True

    def __init__(
        self,
        model: PreTrainedModel,
        task: MaskedLMTask,
        attention: Attention,
        arguments: TrainingArguments,
        hooks: StepHooks,
    ) -> None:
        items, collator = task.training_items()
        self.masked_lm, self.task, self.attention = model, task, attention
        super().__init__(hooks, model, arguments, items, collator)
        self.model_accepts_loss_kwargs = True  # makes Trainer count the masked tokens of accumulated batches

    def before_step(self, step: int) -> None:
        """Set alpha for this step."""
        set_attention(self.masked_lm, Attention(self.attention.kind, self.alpha_at(step)))

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor:
        """Return the cross-entropy of the masked tokens, the only ones that are decoded."""
        unwrapped = self.accelerator.unwrap_model(model)
        logits, targets = masked_logits(unwrapped, inputs, self.task.options.bf16)
        loss = nn.functional.cross_entropy(logits, targets, reduction="sum")
        return loss / max(int(num_items_in_batch or len(targets)), 1)

    def validation_metrics(self) -> dict[str, float]:
        """Return the losses on the fixed validation blocks."""
        losses = self.task.measure(self.masked_lm)
        logger.info("step %d: validation loss %.4f", self.state.global_step, losses.loss)
        return vars(losses)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log the entry, with alpha added to it."""
        super().log({**logs, "alpha": self.masked_lm.config.sparse_attention["alpha"]}, start_time)

    def alpha_at(self, step: int) -> float:
        """Return alpha for optimiser step `step`, counted from 0."""
        anneal, end = self.task.options.anneal, self.attention.alpha
        if self.attention.kind == "softmax" or anneal.start is None or step >= anneal.steps:
            return end
        return anneal.start + (end - anneal.start) * step / anneal.steps
