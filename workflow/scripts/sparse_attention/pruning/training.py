"""Train a classifier of functions: dense, with soft keep weights and learned thresholds, or with hard masks."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from transformers import TrainingArguments

from sparse_attention.data.code.tokens import CodeTokens
from sparse_attention.metrics.classification import classification_metrics
from sparse_attention.models.hub import offline
from sparse_attention.models.limits import limits_of_model
from sparse_attention.models.masked_lm import set_dropout
from sparse_attention.pruning.batches import CodeCollator, TrainingFunctions
from sparse_attention.pruning.model import PrunedClassifier
from sparse_attention.pruning.options import SoftOptions, StageOptions
from sparse_attention.pruning.prediction import predict
from sparse_attention.training.loop import (
    HookedTrainer,
    StepHooks,
    run_training,
    training_arguments,
    training_table,
)
from sparse_attention.training.resuming import find_resume_point

logger = logging.getLogger(__name__)

METRICS, SETTINGS = ("loss", "accuracy", "f1", "roc_auc", "kept"), ("temperature", "learning_rate")
"""Columns of `training.tsv`: the arguments `metrics` and `settings` of `training_table`."""


@dataclass(frozen=True)
class Stage:
    """Masks, temperature and thresholds in the training of one stage.

    Attributes
    ----------
    mode : str
        `dense`, `soft` or `hard`, as in `PrunedClassifier.forward`.
    weight : float
        Weight of the regulariser in the loss; lambda in the configuration and in LTP (Kim et al., KDD 2022).
    hard_share : float
        Share of the steps of a soft stage, at its end, that have hard masks.
    final_temperature : float, optional
        Temperature of the last soft step, to which it falls by a constant factor per step; None keeps the temperature.
    threshold_learning_rate, threshold_weight_decay : float
        Learning rate and weight decay of the thresholds, which a soft stage learns.
    """

    mode: str
    weight: float = 0.0
    hard_share: float = 0.0
    final_temperature: float | None = None
    threshold_learning_rate: float = 0.0
    threshold_weight_decay: float = 0.0

    @classmethod
    def soft(cls, options: SoftOptions, weight: float) -> Stage:
        """Return the soft stage of the section `prune_soft`, with the regulariser's `weight`."""
        return cls(
            "soft",
            weight,
            options.hard_share,
            options.final_temperature,
            options.threshold_learning_rate,
            options.threshold_weight_decay,
        )

    @property
    def validation_mode(self) -> str:
        """The mode on validation: `dense`, or `hard` also in a soft stage, whose aim is a model with hard masks."""
        return "dense" if self.mode == "dense" else "hard"


class PruningTrainer(HookedTrainer):
    """Trainer with the regulariser in its loss, and a learning rate of its own for thresholds.

    Parameters
    ----------
    model : PrunedClassifier
        Model that is trained.
    tokens : CodeTokens
        Tokens of the train and validation functions.
    stage : Stage
        Masks, temperature and thresholds.
    options : StageOptions
        Says whether labels are weighted.
    arguments : TrainingArguments
        Made by `training_arguments`.
    hooks : StepHooks
        Its `stop` ends the training.
    items : TrainingFunctions
        The functions of the whole training, in order.
    """

    def __init__(
        self,
        model: PrunedClassifier,
        tokens: CodeTokens,
        stage: Stage,
        options: StageOptions,
        arguments: TrainingArguments,
        hooks: StepHooks,
        items: TrainingFunctions,
    ) -> None:
        self.pruned, self.tokens, self.stage = model, tokens, stage
        self.first_temperature, self.mode = model.thresholds.temperature, stage.mode
        self.kept = float("nan")
        weights = class_weights(tokens.labels[items.functions].long()) if options.class_weights else torch.ones(2)
        self.class_weights = weights.to(model.thresholds.base.device)
        super().__init__(hooks, model, arguments, items, CodeCollator(tokens))
        self.model_accepts_loss_kwargs = False

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Make the optimiser, with separate options for thresholds, and no weight decay of norms and biases."""
        weights = [weight for weight in self.pruned.classifier.parameters() if weight.requires_grad]
        matrices, vectors = [w for w in weights if w.dim() > 1], [w for w in weights if w.dim() < 2]
        groups = [
            {"params": matrices, "weight_decay": self.args.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        offset = self.pruned.thresholds.offset
        if self.stage.mode == "soft" and offset.requires_grad:
            rate, decay = self.stage.threshold_learning_rate, self.stage.threshold_weight_decay
            groups.append({"params": [offset], "lr": rate, "weight_decay": decay})
        kind, settings = self.get_optimizer_cls_and_kwargs(self.args)
        self.optimizer = kind(groups, **settings)
        return self.optimizer

    def _clip_grad_norm(self, model: nn.Module) -> Tensor:
        """Clip the gradients of the weights only.

        Those of the thresholds grow as 1 / temperature, so a common norm would shrink the gradients of all weights.
        """
        return nn.utils.clip_grad_norm_(self.pruned.classifier.parameters(), self.args.max_grad_norm)

    def before_step(self, step: int) -> None:
        """Set the temperature, and hard masks for the last steps of a soft stage."""
        soft_steps, end = round(self.args.max_steps * (1 - self.stage.hard_share)), self.stage.final_temperature
        if end is not None:
            start = self.first_temperature
            # with a single soft step, this is the last one too
            progress = min(step / (soft_steps - 1), 1.0) if soft_steps > 1 else 1.0
            self.pruned.thresholds.temperature = start * (end / start) ** progress
        self.mode = "hard" if self.stage.mode == "soft" and step >= soft_steps else self.stage.mode

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor:
        """Return the mean weighted cross-entropy, plus the weighted regulariser where masks are soft."""
        pruned = model(inputs["input_ids"], inputs["attention_mask"], self.mode)
        losses = nn.functional.cross_entropy(pruned.logits, inputs["labels"], reduction="none")
        loss = (losses * self.class_weights[inputs["labels"]]).mean()
        self.kept = float(share_kept(pruned.keep.detach(), inputs["attention_mask"]))
        return loss + self.stage.weight * pruned.regulariser if self.mode == "soft" else loss

    def validation_metrics(self) -> dict[str, float]:
        """Return the metrics on the validation functions, with hard masks unless the stage is dense."""
        functions = self.tokens.of("validation").tolist()
        predicted = predict(self.pruned, self.tokens, functions, self.stage.validation_mode, self.args.eval_batch_size)
        quality = classification_metrics(predicted.labels, predicted.probabilities)
        metrics = {"loss": predicted.loss(), **quality, "kept": predicted.kept_share}
        text = ", ".join(f"{name} {metrics[name]:.3f}" for name in METRICS)
        logger.info("step %d, validation: %s", self.state.global_step, text)
        return {name: metrics[name] for name in METRICS}

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log the entry, with the temperature and, in training, the kept share of the batch added to it."""
        extra: dict[str, Any] = {"temperature": self.pruned.thresholds.temperature if self.mode == "soft" else None}
        super().log({**logs, **extra, **({"kept": self.kept} if "loss" in logs else {})}, start_time)


def class_weights(labels: Tensor) -> Tensor:
    """Return a weight per label, float32 ``(2,)``: both labels weigh the same in total, and the mean weight is 1."""
    counts = torch.bincount(labels, minlength=2).clamp_min(1)
    return len(labels) / (2 * counts.float())


def share_kept(keep: Tensor, mask: Tensor) -> Tensor:
    """Return the share of kept tokens, averaged over functions and layers, as a scalar.

    Parameters
    ----------
    keep : Tensor
        Keep weights, ``(layers, batch, n)``.
    mask : Tensor
        ``(batch, n)``, 0 for padding.
    """
    return (keep.sum(2) / mask.sum(1).clamp_min(1)).mean()


def train(
    model: PrunedClassifier,
    tokens: CodeTokens,
    stage: Stage,
    options: StageOptions,
    seed: int,
    resume: Path,
    fingerprint: Mapping[str, object],
) -> pd.DataFrame:
    """Train `model` in place, from the resume point in `resume` on when it is of the same training.

    Parameters
    ----------
    model : PrunedClassifier
        Model that is trained.
    tokens : CodeTokens
        Tokens of the train and validation functions.
    stage : Stage
        Masks, temperature and thresholds.
    options : StageOptions
        Batches, optimiser and resume points.
    seed : int
        Seed of the order of the functions and of dropout.
    resume : Path
        Folder of resume points; the caller removes it once the results are written.
    fingerprint : mapping
        Everything that the training depends on; a resume point with another fingerprint is not used.

    Returns
    -------
    DataFrame
        One row per training step and per validation: step, phase, `METRICS` and `SETTINGS`.

    Raises
    ------
    InputError
        When the tokens do not fit the model.
    SystemExit
        After SIGTERM or Ctrl-C, when the current step has ended and a resume point is saved.
    """
    check_fit(tokens, model)
    point, hooks = find_resume_point(resume, fingerprint), StepHooks()
    sizes = options.batch_size, options.accumulation, options.epochs
    items = TrainingFunctions(tokens.of("train"), tokens.lengths, *sizes, seed)
    warmup_steps, every = round(options.warmup * items.steps), options.eval_steps or items.steps_per_epoch
    device = model.thresholds.base.device
    with offline():
        arguments = training_arguments(options, items.steps, warmup_steps, every, seed, resume, device)
        arguments.per_device_eval_batch_size = options.eval_batch_size
        trainer = PruningTrainer(model, tokens, stage, options, arguments, hooks, items)
    if options.dropout is not None:
        set_dropout(model.classifier, options.dropout)
    history = run_training(trainer, hooks, point)
    if stage.final_temperature is not None:  # a training that resumes after its last step has not set it
        model.thresholds.temperature = stage.final_temperature
    model.eval()
    return training_table(history, METRICS, SETTINGS)


def check_fit(tokens: CodeTokens, model: PrunedClassifier) -> None:
    """Raise `InputError` when the model cannot read the tokens."""
    limits = limits_of_model(model.classifier)
    limits.check_vocabulary(int(tokens.ids.max()) + 1, "tokenise_code")
    limits.check_length(int(tokens.lengths.max()), "tokenise_code.max_tokens")
