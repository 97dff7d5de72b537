"""Train a language model further, with the attention that it has at that moment, predicted or full."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from transformers import PreTrainedModel

from sparse_attention.data.blocks import Blocks
from sparse_attention.errors import InputError
from sparse_attention.models.attention import Attention
from sparse_attention.training.fine_tuning import train
from sparse_attention.training.options import TrainOptions
from sparse_attention.training.task import MaskedLMTask

OTHER_BLOCKS = 10_007
"""Added to the seed, so that the model does not see the blocks and masks of its first training again."""
QUERY_OR_KEY = re.compile(r"(^|[._])(query|key|q_proj|k_proj|q_lin|k_lin)\.(weight|bias)$")


def train_further(
    model: PreTrainedModel,
    blocks: Blocks,
    options: TrainOptions,
    parameters: str,
    seed: int,
    resume: Path,
    fingerprint: Mapping[str, object],
) -> pd.DataFrame:
    """Train `model` in place, from the resume point in `resume` on when it is of the same training.

    A support is a choice without gradient: training changes the model's weights, and never those of a predictor.

    Parameters
    ----------
    model : PreTrainedModel
        Loaded by `load_masked_lm`.
    blocks : Blocks
        Tokenised corpus.
    options : TrainOptions
        Steps, batches and optimiser.
    parameters : str
        `all`, or `all_but_query_key`: the maps to queries and keys stay as they are.
    seed : int
        Seed of the run.
    resume, fingerprint
        See `training.fine_tuning.train`.

    Returns
    -------
    DataFrame
        Content of `training.tsv`: step, phase, loss, learning_rate, alpha.

    Raises
    ------
    InputError
        When the maps to queries and keys are to stay, but the model has none of their own.
    SystemExit
        After SIGTERM or Ctrl-C, when the current step has ended and a resume point is saved.
    """
    if parameters == "all_but_query_key":
        freeze_queries_and_keys(model)
    settings = model.config.sparse_attention
    attention = Attention(settings["kind"], settings["alpha"])
    task = MaskedLMTask(blocks, model, options, seed + OTHER_BLOCKS)
    return train(model, task, attention, resume, fingerprint)[0]


def freeze_queries_and_keys(model: PreTrainedModel) -> None:
    """Exclude the maps to queries and keys from training; raise `InputError` when the model has none of their own."""
    found = [weight for name, weight in model.named_parameters() if QUERY_OR_KEY.search(name)]
    if not found:
        text = f"all_but_query_key is not allowed, {type(model).__name__} maps to queries, keys and values at once"
        raise InputError(f"finetune_sparse_mlm.parameters: {text}; allowed: all")
    for weight in found:
        weight.requires_grad_(False)
