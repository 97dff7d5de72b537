"""Extract queries and keys where a model computes its attention, and stream them to disk."""

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
    """Write the queries and keys of a split's blocks, chosen from its documents in turn.

    No token is masked for the extraction. Queries and keys are taken after rotary embeddings, where there are any, and
    before the division by √head_dim. One batch of one layer is in memory at a time.

    Parameters
    ----------
    model : PreTrainedModel
        The model, with the attention of `models.attention`, in evaluation mode.
    blocks : Blocks
        Tokenised corpus.
    split : str
        train or validation.
    folder : path-like
        Where to write the store.
    options : ExtractOptions
        Number of examples, batch size and dtype.
    source : mapping
        Sha256 of the files of the model and of the corpus.

    Raises
    ------
    InputError
        When the split has no blocks, or the model's heads or attention mask cannot be stored.
    """
    tokens, lengths, documents = blocks.split(split)
    wanted = options.examples[split]
    chosen = in_turn(documents, wanted)
    if not len(chosen):
        raise InputError(
            f"extract_qk.examples.{split}: the split has no blocks; allowed: more text, or a smaller blocks.min_length"
        )
    if len(chosen) < wanted:
        logger.info("%s: %d examples requested, but the split has only %d blocks", split, wanted, len(chosen))
    tokens, lengths = tokens[chosen], lengths[chosen]
    ids = blocks.document_ids(split)
    heads, head_dim, windows = _attention_shape(model, tokens[lengths.argmax()][: int(lengths.max())])
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
    """Run one batch and write the queries and keys of each layer as they are computed."""
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
def _attention_shape(model: PreTrainedModel, block: Tensor) -> tuple[int, int, tuple[int | None, ...]]:
    """Return heads, head_dim and the local window of each layer, found by running the model on the longest block."""
    found: list[tuple[int, int, int | None]] = []

    def record(observation: Observation) -> None:
        _, heads, _, head_dim = observation.queries.shape
        if observation.keys.shape != observation.queries.shape:
            raise InputError("model: numbers of query heads and key heads differ; allowed: one key head per query head")
        found.append((heads, head_dim, local_window(observation.mask)))

    with observed(record):
        base_output(model, block[None].long().to(model.device), torch.ones(1, len(block), device=model.device).long())
    if len({shape[:2] for shape in found}) != 1:
        raise InputError("model: number or size of heads differs between layers; allowed: the same in every layer")
    return found[0][0], found[0][1], tuple(window for _, _, window in found)


def local_window(mask: Tensor | None) -> int | None:
    """Return the largest distance that an attention mask of a block without padding allows; None: no limit.

    Parameters
    ----------
    mask : Tensor or None
        ``(…, queries, keys)``, bool or additive, as transformers makes it.

    Raises
    ------
    InputError
        When the mask is neither full nor a centred band.
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
        raise InputError("model: unknown attention mask; allowed: full attention, or a centred local window")
    return window
