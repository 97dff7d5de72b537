"""Queries and keys of a model, taken where its attention is computed and streamed to disk."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

import torch
from torch import Tensor
from transformers import PreTrainedModel

from sparse_attention.data.blocks import Blocks
from sparse_attention.errors import InputError
from sparse_attention.jobs.progress import progress
from sparse_attention.models.attention import Observation, observed
from sparse_attention.models.masked_lm import base_output
from sparse_attention.qk.options import ExtractOptions
from sparse_attention.qk.store import QKInfo, QKWriter
from sparse_attention.training.batches import in_turn

logger = logging.getLogger(__name__)


def extract(
    model: PreTrainedModel,
    blocks: Blocks,
    split: str,
    folder: str | os.PathLike[str],
    options: ExtractOptions,
    source: Mapping[str, object],
) -> None:
    """Write the queries and keys of unmasked blocks, taken in turn from every document of a split.

    Queries and keys are those that the scores are made of: after rotary embeddings where there are any, and before the
    division by √head_dim. One batch of one layer is in memory at a time.

    Parameters
    ----------
    model : PreTrainedModel
        With our attention, in evaluation mode.
    blocks : Blocks
        Tokenised corpus.
    split : str
        train or validation.
    folder : path-like
        Of the store to write.
    options : ExtractOptions
    source : mapping
        Sha256 of the model's and the corpus's files.
    """
    tokens, lengths, documents = blocks.split(split)
    wanted = options.examples[split]
    chosen = in_turn(documents, wanted)
    if not len(chosen):
        raise InputError(
            f"extract_qk.examples.{split}: the split has no blocks; use more text, or a smaller blocks.min_length"
        )
    if len(chosen) < wanted:
        logger.info("%s: %d examples wanted, the split has %d blocks", split, wanted, len(chosen))
    tokens, lengths = tokens[chosen], lengths[chosen]
    ids = blocks.document_ids(split)
    heads, head_dim, windows = _shape(model, tokens[lengths.argmax()][: int(lengths.max())])
    info = QKInfo(
        layers=model.config.num_hidden_layers,
        heads=heads,
        head_dim=head_dim,
        query_lengths=tuple(lengths.tolist()),
        key_lengths=tuple(lengths.tolist()),
        documents=tuple(ids[document] for document in documents[chosen].tolist()),
        alpha=model.config.sparse_attention["alpha"],
        local_windows=windows,
        dtype=options.dtype,
        source=source,
    )
    starts = range(0, len(chosen), options.batch_size)
    with QKWriter(folder, info) as writer:
        for start in progress(starts, len(starts), f"extracting {split}"):
            part = slice(start, start + options.batch_size)
            _write_batch(model, tokens[part], lengths[part], start, writer)
    logger.info(
        "%s: %d examples, %d layers, %d heads, %d tokens", split, info.examples, info.layers, heads, int(lengths.sum())
    )


@torch.no_grad()
def _write_batch(model: PreTrainedModel, tokens: Tensor, lengths: Tensor, first: int, writer: QKWriter) -> None:
    """Run one batch and write each layer's queries and keys as they come."""
    tokens = tokens[:, : int(lengths.max())].long().to(model.device)
    real = torch.arange(tokens.shape[1], device=model.device) < lengths.to(model.device)[:, None]
    layers = iter(range(writer.info.layers))

    def write(observation: Observation) -> None:
        layer = next(layers)
        queries, keys = observation.queries.cpu(), observation.keys.cpu()
        for row, length in enumerate(lengths.tolist()):
            writer.write(layer, first + row, queries[row, :, :length], keys[row, :, :length])

    with observed(write):
        base_output(model, tokens, real.long())


@torch.no_grad()
def _shape(model: PreTrainedModel, block: Tensor) -> tuple[int, int, tuple[int | None, ...]]:
    """Read heads, head_dim and each layer's local window off a pass over the longest block."""
    found: list[tuple[int, int, int | None]] = []

    def look(observation: Observation) -> None:
        _, heads, _, head_dim = observation.queries.shape
        if observation.keys.shape != observation.queries.shape:
            raise InputError(
                "model: queries and keys have different numbers of heads; allowed: one key head per query head"
            )
        found.append((heads, head_dim, local_window(observation.mask)))

    with observed(look):
        base_output(model, block[None].long().to(model.device), torch.ones(1, len(block), device=model.device).long())
    if len({shape[:2] for shape in found}) != 1:
        raise InputError("model: its layers have heads of different numbers or sizes; allowed: the same in every layer")
    return found[0][0], found[0][1], tuple(window for _, _, window in found)


def local_window(mask: Tensor | None) -> int | None:
    """Return the greatest distance that an unpadded block's attention mask allows; None: no limit.

    Parameters
    ----------
    mask : Tensor or None
        ``(…, queries, keys)``, as transformers makes it.

    Raises
    ------
    InputError
        When the mask is not a centred band.
    """
    if mask is None:
        return None
    allowed = mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min / 2
    allowed = allowed.reshape(-1, *allowed.shape[-2:])[0].cpu()
    if allowed.all():
        return None
    window = int(allowed[0].sum()) - 1
    positions = torch.arange(len(allowed))
    if not torch.equal(allowed, (positions[:, None] - positions).abs() <= window):
        raise InputError("model: its attention mask is neither full nor a centred local window; allowed: one of these")
    return window
