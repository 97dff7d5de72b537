"""The masked-language-model task on a corpus: its training items and its fixed validation batches."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor
from transformers import PreTrainedModel

from sparse_attention.data.blocks import Blocks
from sparse_attention.errors import InputError
from sparse_attention.models.limits import limits_of_model
from sparse_attention.training.batches import Collator, Masking, TrainingBlocks, in_turn, validation_batches
from sparse_attention.training.losses import Losses, measure
from sparse_attention.training.options import TrainOptions


class MaskedLMTask:
    """The blocks of a corpus as training and validation batches of the masked-language-model task.

    Parameters
    ----------
    blocks : Blocks
        Tokenised corpus.
    model : PreTrainedModel
        Model that is trained; the blocks must fit its limits.
    options : TrainOptions
        Batches, masking and validation.
    seed : int
        Seed of the order and the masks in training; validation masks are the same for every seed.

    Raises
    ------
    InputError
        When a split is empty, or the blocks do not fit the model.
    """

    def __init__(self, blocks: Blocks, model: PreTrainedModel, options: TrainOptions, seed: int) -> None:
        self.info, self.options, self.seed = blocks.info, options, seed
        self.train_tokens, self.train_lengths, _ = blocks.split("train")
        self.tokens, self.lengths, documents = blocks.split("validation")
        _check_fit(blocks, model)
        self.masking = Masking(options.mask_probability, self.info.special, self.info.vocabulary)
        self.validation_indices = in_turn(documents, options.eval_blocks)

    def training_items(self) -> tuple[TrainingBlocks, Collator]:
        """Return all items of the training, in order, and the collator that turns a list of them into a batch."""
        items = self.options.steps * self.options.accumulation * self.options.batch_size
        blocks = TrainingBlocks(self.train_tokens, self.train_lengths, items, self.seed)
        return blocks, Collator(self.masking, self.seed)

    def measure(self, model: PreTrainedModel) -> Losses:
        """Measure `model` on the fixed validation blocks with their fixed masks."""
        batch_size = self.options.eval_batch_size
        batches = validation_batches(self.tokens, self.lengths, self.validation_indices, batch_size, self.masking)
        return measure(model, batches, self.options.bf16)

    def validation_blocks(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield batches of unmasked validation blocks ``(blocks, longest)`` and their lengths ``(blocks,)``."""
        for chosen in self.validation_indices.split(self.options.eval_batch_size):
            lengths = self.lengths[chosen]
            yield self.tokens[chosen, : int(lengths.max())], lengths


def _check_fit(blocks: Blocks, model: PreTrainedModel) -> None:
    """Raise `InputError` when a split is empty, or its blocks do not fit the model."""
    limits = limits_of_model(model)
    for split in ("train", "validation"):
        tokens, lengths, _ = blocks.split(split)
        if not len(lengths):
            text = f"the {split} split has no blocks of at least this length"
            raise InputError(f"blocks.min_length: {text}; allowed: a smaller length, or a corpus with more text")
        limits.check_vocabulary(int(tokens.max()) + 1, "blocks")
    limits.check_blocks(blocks.info.length, blocks.info.vocabulary)
