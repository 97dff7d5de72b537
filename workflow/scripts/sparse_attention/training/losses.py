"""Measure a masked language model on blocks: loss, accuracy, and the sparsity of its attention."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor
from transformers import PreTrainedModel

from sparse_attention.data.blocks import BlocksInfo
from sparse_attention.models.attention import Observation, observed
from sparse_attention.models.masked_lm import base_output, logits_at
from sparse_attention.training.batches import IGNORED

Batch = dict[str, Tensor]
"""A batch that `Masking` made."""


@dataclass(frozen=True)
class Losses:
    """Loss and accuracy of a model over the masked tokens of some blocks.

    Attributes
    ----------
    loss : float
        Mean cross-entropy of the masked tokens, in nats.
    accuracy : float
        Share of masked tokens for which the model's most probable token is the true one.
    masked_tokens, blocks : int
        Number of masked tokens and of blocks that were measured.
    """

    loss: float
    accuracy: float
    masked_tokens: int
    blocks: int

    def row(self, stage: str, info: BlocksInfo) -> dict[str, str | float]:
        """Return the row of `evaluation.tsv` for one stage (`before` or `after` training).

        `bits_per_character` is the mean loss of a masked token in bits, times the tokens per character of the
        validation split: the mean cost of a character if every token cost as much as a masked one. (The published code
        prints `loss / ln 2`, which is bits per token.)
        """
        split = info.splits["validation"]
        return {
            "stage": stage,
            "loss": self.loss,
            "perplexity": math.exp(min(self.loss, 700.0)),
            "bits_per_character": self.loss * split.tokens / max(split.characters, 1) / math.log(2),
            "accuracy": self.accuracy,
            "unigram_loss": info.unigram_loss,
            "masked_tokens": self.masked_tokens,
            "blocks": self.blocks,
        }


def measure(model: PreTrainedModel, batches: Iterable[Batch], bf16: bool = False) -> Losses:
    """Return the losses of a model on masked batches.

    Parameters
    ----------
    model : PreTrainedModel
        Measured in evaluation mode; its training mode is restored.
    batches : iterable of dict
        Batches that `Masking` made.
    bf16 : bool
        Compute matrix products in bfloat16.
    """
    loss, hits, tokens, blocks = 0.0, 0, 0, 0
    with evaluating(model):
        for batch in batches:
            batch = {name: tensor.to(model.device) for name, tensor in batch.items()}
            logits, targets = masked_logits(model, batch, bf16)
            loss += torch.nn.functional.cross_entropy(logits, targets, reduction="sum").double().item()
            hits += int((logits.argmax(-1) == targets).sum())
            tokens += len(targets)
            blocks += len(batch["input_ids"])
    return Losses(loss / max(tokens, 1), hits / max(tokens, 1), tokens, blocks)


def block_losses(model: PreTrainedModel, batch: Batch) -> Tensor:
    """Return masked tokens, summed loss in nats and correct predictions of each block, float64 ``(blocks, 3)``."""
    batch = {name: tensor.to(model.device) for name, tensor in batch.items()}
    logits, targets = masked_logits(model, batch, bf16=False)
    block = (batch["labels"] != IGNORED).nonzero()[:, 0]
    losses = torch.nn.functional.cross_entropy(logits, targets, reduction="none").double()
    values = torch.stack([torch.ones_like(losses), losses, (logits.argmax(-1) == targets).double()], -1)
    return values.new_zeros(len(batch["labels"]), 3).index_add_(0, block, values).cpu()


def masked_logits(model: PreTrainedModel, batch: Batch, bf16: bool) -> tuple[Tensor, Tensor]:
    """Return the logits, float32 ``(masked tokens, vocabulary)``, and the true tokens, int64 ``(masked tokens,)``."""
    masked = batch["labels"] != IGNORED
    with torch.autocast(model.device.type, torch.bfloat16, enabled=bf16):
        logits = logits_at(model, batch["input_ids"], batch["attention_mask"], masked)
    return logits.float(), batch["labels"][masked]


def gold_sparsity(model: PreTrainedModel, batches: Iterable[tuple[Tensor, Tensor]]) -> pd.DataFrame:
    """Measure the share of valid query–key pairs that get exactly zero probability, per layer and head.

    Parameters
    ----------
    model : PreTrainedModel
        Loaded by `load_masked_lm`.
    batches : iterable of (tokens, lengths)
        Unmasked blocks, int ``(blocks, length)``, and their lengths, int ``(blocks,)``.

    Returns
    -------
    DataFrame
        Columns layer, head and gold_sparsity, the mean over blocks.
    """
    layers: list[list[Tensor]] = [[] for _ in range(model.config.num_hidden_layers)]
    with evaluating(model):
        for tokens, lengths in batches:
            tokens = tokens.long().to(model.device)
            real = torch.arange(tokens.shape[1], device=model.device) < lengths.to(model.device)[:, None]
            for layer, observation in enumerate(_observations(model, tokens, real)):
                layers[layer].append(_zero_share(observation, real).cpu())
    return pd.DataFrame(
        {"layer": layer, "head": head, "gold_sparsity": value}
        for layer, shares in enumerate(layers)
        for head, value in enumerate(torch.cat(shares).mean(0).tolist())
    )


def _observations(model: PreTrainedModel, tokens: Tensor, real: Tensor) -> list[Observation]:
    """Return what each layer's attention computed for a batch, in the order of the layers."""
    observations: list[Observation] = []
    with observed(observations.append):
        base_output(model, tokens, real.long())
    return observations


def _zero_share(observation: Observation, real: Tensor) -> Tensor:
    """Return the share of valid pairs with zero probability, float64 ``(blocks, heads)``."""
    valid = real[:, None, :, None] & real[:, None, None, :]
    if observation.mask is not None:
        valid = valid & observation.mask
    kept = ((observation.probabilities > 0) & valid).sum((-2, -1)).double()
    return 1 - kept / valid.sum((-2, -1)).double()


@contextlib.contextmanager
def evaluating(model: PreTrainedModel) -> Iterator[None]:
    """Put `model` in evaluation mode, without gradients, inside a `with` block."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)
