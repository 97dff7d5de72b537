"""Measure a masked language model that attends to all keys, on the blocks that predicted attention is measured on.

No predictor is imported, so that a change to one does not repeat what is made with full attention.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor
from transformers import PreTrainedModel

from sparse_attention.data.blocks import Blocks
from sparse_attention.jobs.progress import ProgressBar
from sparse_attention.models.attention import NAME
from sparse_attention.training.batches import Masking, in_turn, validation_batches
from sparse_attention.training.losses import Batch, block_losses, evaluating


@dataclass(frozen=True)
class Validation:
    """The masked validation blocks on which language models are compared.

    Attributes
    ----------
    blocks : Blocks
        Tokenised corpus.
    count : int or None
        Number of blocks, taken in turn from every document; None: all.
    batch_size : int
        Blocks that are computed at once.
    mask_probability : float
        Probability that a token is masked.
    """

    blocks: Blocks
    count: int | None
    batch_size: int
    mask_probability: float

    @property
    def indices(self) -> Tensor:
        """Places of the chosen blocks in their split, int64 ``(blocks,)``."""
        return in_turn(self.blocks.split("validation")[2], self.count)

    def batches(self) -> Iterator[Batch]:
        """Yield the masked batches; the masks are those of the validation of `train_mlm`."""
        tokens, lengths, _ = self.blocks.split("validation")
        masking = Masking(self.mask_probability, self.blocks.info.special, self.blocks.info.vocabulary)
        return validation_batches(tokens, lengths, self.indices, self.batch_size, masking)

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-len(self.indices) // self.batch_size)

    def table(self, losses: Sequence[Tensor]) -> pd.DataFrame:
        """Return the rows of `losses.tsv` for one model.

        Parameters
        ----------
        losses : sequence of Tensor
            The result of `block_losses` for each batch.

        Returns
        -------
        DataFrame
            block, document, masked_tokens, loss (mean, in nats) and accuracy over the masked tokens of the block.
        """
        names, documents = self.blocks.document_ids("validation"), self.blocks.split("validation")[2]
        tokens, loss, hits = torch.cat(list(losses)).T.numpy()
        return pd.DataFrame(
            {
                "block": self.indices.tolist(),
                "document": [names[int(documents[index])] for index in self.indices.tolist()],
                "masked_tokens": tokens.astype(int),
                "loss": loss / tokens.clip(1),
                "accuracy": hits / tokens.clip(1),
            }
        )


def measure_full(model: PreTrainedModel, validation: Validation) -> pd.DataFrame:
    """Measure the losses of `model` with attention to all keys, one row per block, as `Validation.table`."""
    bar, losses = ProgressBar(len(validation), "evaluating full attention"), []
    model.set_attn_implementation(NAME)
    with evaluating(model):
        for number, batch in enumerate(validation.batches(), 1):
            losses.append(block_losses(model, batch))
            bar.update(number)
    return validation.table(losses)
