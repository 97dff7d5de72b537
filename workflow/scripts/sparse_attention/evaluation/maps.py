"""Map where the keys of a few tokens lie in one example: in full attention, and as a predictor says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from torch import Tensor

from sparse_attention.errors import InputError
from sparse_attention.evaluation.examples import Split, fit_layer, on_device
from sparse_attention.evaluation.sweep import check_lists, point_name
from sparse_attention.jobs.progress import progress
from sparse_attention.predictors.features import Features, block_features
from sparse_attention.qk.ends import mass_on_ends
from sparse_attention.settings.grids import product
from sparse_attention.training.batches import in_turn

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from sparse_attention.data.blocks import Blocks
    from sparse_attention.predictors.base import Predictor
    from sparse_attention.qk.store import QKInfo

COLUMNS = ("layer", "head", "point", "sparsity", "query", "key", "query_token", "key_token", "probability", "predicted")


@dataclass(frozen=True)
class Asked:
    """What maps are asked to show.

    Attributes
    ----------
    example : int
        Number of the validation example.
    tokens : int
        Number of its first tokens that are shown.
    sparsity : float
        Of the points of a grid, the one whose sparsity on the example is nearest to this is shown.
    """

    example: int
    tokens: int
    sparsity: float

    @classmethod
    def of(cls, options: Mapping[str, Any], info: QKInfo) -> Asked:
        """Return what the configuration asks for; raise `InputError` when there is no such example."""
        asked = cls(**options)
        if asked.example >= info.examples:
            text = f"{asked.example} is too high; allowed: below the number of validation examples, {info.examples}"
            raise InputError(f"map_attention.example: {text}")
        return asked


@dataclass(frozen=True)
class _HeadMap:
    """One head: the probabilities of the shown pairs, and for each point its shown pairs and its number of all pairs.

    The shapes are ``(queries, keys)``, ``(points, queries, keys)`` and ``(points,)``; `valid` counts all valid pairs.
    """

    layer: int
    head: int
    probability: np.ndarray
    predicted: np.ndarray
    kept: np.ndarray
    valid: int

    def rows(self, point: int, texts: Sequence[str]) -> dict[str, Any]:
        """Return the columns of the pairs that have a probability or are predicted at a point, in their order."""
        predicted = self.predicted[point]
        query, key = np.nonzero((self.probability > 0) | predicted)
        return {
            "layer": self.layer,
            "head": self.head,
            "query": query,
            "key": key,
            "query_token": [texts[place] for place in query.tolist()],
            "key_token": [texts[place] for place in key.tolist()],
            "probability": self.probability[query, key],
            "predicted": predicted[query, key].astype(int),
        }


def map_attention(
    predictor: Predictor,
    validation: Split,
    grid: Mapping[str, Any],
    asked: Asked,
    texts: Sequence[str],
    training: Split | None = None,
    device: str = "cpu",
) -> pd.DataFrame:
    """Map the first tokens of one example in one head of the first, the middle and the last layer.

    The head is the one whose gold probability rests least on the first and the last token, because a map of a head that
    rests on them shows two columns and little else. It does not depend on the predictor, so maps can be compared.

    Parameters
    ----------
    predictor, validation, grid, training, device
        As for `sweep.evaluate`.
    asked : Asked
        What is shown.
    texts : sequence of str
        The text of each token of the example.

    Returns
    -------
    DataFrame
        `COLUMNS`, a row for each shown pair of tokens that has a gold probability or is predicted, by layer, query and
        key. `point` is the same in all rows: the one whose sparsity is nearest to the asked one, the first of equals.
        `sparsity` is its share of valid pairs that are not predicted, over all tokens of the example in these heads;
        `probability` is 0 outside the gold support; `predicted` is 0 or 1.
    """
    check_lists(predictor, grid, validation.info.heads)
    points, layers = product(dict(grid)), shown_layers(validation.info.layers)
    maps = []
    for layer in progress(layers, len(layers), f"mapping {predictor.name}"):
        fit_layer(predictor, layer, training)
        maps.append(_map_layer(predictor, validation, layer, points, asked, device))
    sparsity = 1 - np.sum([own.kept for own in maps], axis=0) / sum(own.valid for own in maps)
    # differences of rounding do not decide between points that are equally near
    best = int(np.abs(sparsity - asked.sparsity).round(12).argmin())
    table = pd.concat([pd.DataFrame(own.rows(best, texts)) for own in maps], ignore_index=True)
    table = table.assign(point=point_name(predictor, points[best]), sparsity=sparsity[best])
    return table[list(COLUMNS)]


def shown_layers(layers: int) -> list[int]:
    """Return the numbers of the first, the middle and the last of some layers, each once."""
    return sorted({0, layers // 2, layers - 1})


def _map_layer(
    predictor: Predictor, validation: Split, layer: int, points: Sequence[Mapping[str, Any]], asked: Asked, device: str
) -> _HeadMap:
    """Map one head of a layer at all points."""
    features, gold = validation.layer(layer).tokens(asked.example)
    head = int(mass_on_ends(gold).argmin())
    part = slice(asked.tokens)
    shown, kept = [], []
    for pairs in _predicted(predictor, features, points, head, validation.block_size, device):
        kept.append(int(pairs.sum()))
        shown.append(pairs[part, part].numpy())
    probability = gold.dense()[head, part, part].numpy()
    return _HeadMap(layer, head, probability, np.stack(shown), np.array(kept), features.valid_pairs)


def _predicted(
    predictor: Predictor, tokens: Features, points: Sequence[Mapping[str, Any]], head: int, size: int, device: str
) -> Iterator[Tensor]:
    """Yield the valid pairs of tokens that one head has at each point, bool ``(queries, keys)``."""
    features = on_device(tokens if size == 1 else block_features(tokens, size), device)
    prepared = predictor.prepare(features)
    _, queries, keys = tokens.shape
    for point in points:
        pairs = predictor.predict(prepared, **point).expand(features.shape)[head].cpu()
        by_token = pairs.repeat_interleave(size, 0)[:queries].repeat_interleave(size, 1)[:, :keys]
        yield by_token & tokens.valid


def positions(example: int, info: QKInfo) -> list[str]:
    """Return the positions of an example's tokens as texts, for queries and keys of which no text is known."""
    return [str(place) for place in range(max(info.query_lengths[example], info.key_lengths[example]))]


def token_texts(blocks: Blocks, tokenizer: PreTrainedTokenizerBase, example: int, info: QKInfo) -> list[str]:
    """Return the texts of the tokens of a validation example, each on one line, printable and not empty.

    Parameters
    ----------
    blocks : Blocks
        The blocks that the queries and keys were extracted from.
    tokenizer : PreTrainedTokenizerBase
        The tokenizer that made them.
    example : int
        Number of the example.
    info : QKInfo
        Description of the queries and keys.

    Raises
    ------
    InputError
        When the block is not as long as the example.
    """
    tokens, lengths, documents = blocks.split("validation")
    chosen = in_turn(documents, example + 1).tolist()
    length = int(lengths[chosen[example]]) if example < len(chosen) else 0
    if length != info.query_lengths[example]:
        text = f"its block has {length} tokens, but its queries and keys are of {info.query_lengths[example]}"
        raise InputError(f"validation example {example}: {text}; allowed: the blocks that they were extracted from")
    return [_text_of(tokenizer, token) for token in tokens[chosen[example], :length].tolist()]


def _text_of(tokenizer: PreTrainedTokenizerBase, token: int) -> str:
    """Return the text of a token on one line; of a token of white space it is the tokenizer's own name for it."""
    for text in (tokenizer.decode([token]), tokenizer.convert_ids_to_tokens(token)):
        if words := str(text or "").split():
            # a control character could break a table, or turn the text around it
            return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in " ".join(words))
    return str(token)
