"""A Hugging Face classifier whose layers prune tokens: hidden softly or hard, or really removed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from sparse_attention.pruning.dropping import attend_packed, last_cls
from sparse_attention.pruning.layers import Layer, classify, layers_of, merge_heads
from sparse_attention.pruning.packed import Packed
from sparse_attention.pruning.random_scores import random_scores
from sparse_attention.pruning.scored_attention import Attended
from sparse_attention.pruning.scores.registry import create
from sparse_attention.pruning.thresholds import PruningSettings, Thresholds

STAGES = ("dense", "soft", "hard")


class Pruned(NamedTuple):
    """What a forward pass with hidden tokens gives.

    Attributes
    ----------
    logits : Tensor
        `(batch, labels)`.
    keep : Tensor
        Cumulative keep weights after each layer, `(layers, batch, n)`: soft ones, or 0 and 1; padding has 0.
    scores : Tensor
        Importance scores, `(layers, batch, n)`; padding has 0.
    regulariser : Tensor
        A scalar, see `Thresholds.regulariser`.
    """

    logits: Tensor
    keep: Tensor
    scores: Tensor
    regulariser: Tensor


class Dropped(NamedTuple):
    """What a prediction with removed tokens gives.

    Attributes
    ----------
    logits : Tensor
        `(batch, labels)`.
    survived : Tensor
        The number of layers whose keep mask holds the token, int64 `(batch, n)`: 0 for one that the first layer
        pruned, the number of layers for one that none did, -1 for padding.
    """

    logits: Tensor
    survived: Tensor


class PrunedClassifier(nn.Module):
    """Wraps a sequence classifier and runs its own modules layer by layer, with attention that knows pruned tokens.

    A layer scores its tokens by its own attention, in which all tokens kept so far take part, and prunes. A pruned
    token is neither query nor key from the next layer on, and its state after this layer is never read.
    The first token of a sequence is CLS: it counts as real whatever the mask says, and is never pruned.

    Parameters
    ----------
    classifier : PreTrainedModel
        Of the family Longformer, RoBERTa or BERT.
    settings : PruningSettings

    Raises
    ------
    InputError
        For another family.
    """

    can_drop = True
    """Whether tokens can really be removed."""

    def __init__(self, classifier: PreTrainedModel, settings: PruningSettings) -> None:
        super().__init__()
        self.classifier = classifier
        self.thresholds = Thresholds(len(layers_of(classifier)), settings)
        self.thresholds.to(classifier.device)
        self.score = create(settings.score)

    @property
    def settings(self) -> PruningSettings:
        """What the model was made with, at the temperature that it has now."""
        return replace(self.thresholds.settings, temperature=self.thresholds.temperature)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, mode: str = "dense") -> Pruned:
        """Classify with pruned tokens hidden.

        Parameters
        ----------
        input_ids, attention_mask : Tensor
            int64 `(batch, n)`; the mask is 0 for padding.
        mode : str
            `dense`: nothing is pruned, but scored. `soft`: a token's keep weight multiplies its state and weighs it as
            a key and as a query that scores; where a share decides, as `hard`. `hard`: pruned tokens are excluded.

        Raises
        ------
        ValueError
            When `mode` is none of these.
        """
        if mode not in STAGES:
            raise ValueError(f"mode: {mode!r}; allowed: {', '.join(STAGES)}")
        real = real_tokens(attention_mask)
        states = self._embed(input_ids)
        positions = torch.arange(input_ids.shape[1], device=input_ids.device).expand_as(input_ids)
        log_keep = torch.zeros_like(real, dtype=states.dtype).masked_fill(~real, -torch.inf)
        drawn = self._drawn(input_ids, real)
        keep, all_scores = [], []
        for number, layer in enumerate(layers_of(self.classifier)):
            attended = layer.attend(states, layer.project(states), positions, log_keep)
            scores = self._scores(attended, log_keep, drawn)
            states = layer.finish(merge_heads(attended.context), states)
            if mode == "soft" and self.thresholds.settings.by_threshold:
                log_weight = self.thresholds.log_soft(number, scores)
                states = states * log_weight.exp()[..., None]
                log_keep = log_keep + log_weight
            elif mode != "dense":
                kept = self.thresholds.hard(number, scores, log_keep > -torch.inf, real.sum(1))
                log_keep = log_keep.masked_fill(~kept, -torch.inf)
            keep.append(log_keep.exp())
            all_scores.append(scores * real)
        kept_weights = torch.stack(keep)
        regulariser = self.thresholds.regulariser(kept_weights, real)
        return Pruned(classify(self.classifier, states[:, 0]), kept_weights, torch.stack(all_scores), regulariser)

    @torch.no_grad()
    def predict_dropped(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        prune: bool = True,
        waste: float = 0.1,
        logits_only: bool = False,
    ) -> Dropped:
        """Classify with padding and pruned tokens removed, so that time follows the number of tokens left.

        Parameters
        ----------
        input_ids, attention_mask : Tensor
            int64 `(batch, n)`; the mask is 0 for padding.
        prune : bool
            False removes padding only.
        waste : float
            Sequences of which none is padded by more than this share attend together; 0 pads none, as a GPU does with
            the module `kernels`.
        logits_only : bool
            The last layer computes CLS alone, the only state that logits depend on, and prunes nothing: `survived` ends
            one layer earlier.

        Raises
        ------
        ValueError
            When the model is in training mode, whose dropout has no place here, or can only hide tokens.
        """
        if not self.can_drop:
            raise ValueError("tokens of this variant cannot be removed")
        if self.training:
            raise ValueError("predict_dropped needs evaluation mode")
        real = real_tokens(attention_mask)
        lengths = real.sum(1)
        longest = int(real.any(0).nonzero().max()) + 1
        packed = Packed(self._embed(input_ids[:, :longest]), real[:, :longest])
        drawn = self._drawn(input_ids[:, :longest], real[:, :longest])
        survived = torch.zeros(packed.batch * packed.n, dtype=torch.int64, device=real.device)
        *layers, last = layers_of(self.classifier)
        for number, layer in enumerate(layers if logits_only else [*layers, last]):
            context, kept = self._attend_packed(number, layer, packed, lengths, drawn, prune, waste)
            if kept is not None:
                rows = packed.leave(kept)
                context, packed.states = context.index_select(0, rows), packed.states.index_select(0, rows)
            packed.states = layer.finish(context, packed.states)
            survived[packed.origins] += 1
        states = last_cls(last, packed, waste) if logits_only else packed.first_rows()
        result = torch.full_like(input_ids, -1)
        result[:, :longest] = survived.view(packed.batch, packed.n)
        return Dropped(classify(self.classifier, states), result.masked_fill(~real, -1))

    def _attend_packed(
        self,
        number: int,
        layer: Layer,
        packed: Packed,
        lengths: Tensor,
        drawn: Tensor | None,
        prune: bool,
        waste: float,
    ) -> tuple[Tensor, Tensor | None]:
        """Return the context of all packed rows, `(tokens, hidden)`, and which of them it keeps, if it prunes."""
        context, received = attend_packed(layer, packed, waste, scored=prune)
        if not prune:
            return context, None
        kept = torch.ones(len(packed.states), dtype=torch.bool, device=packed.states.device)
        for group, attended in received:
            own = None if drawn is None else drawn.flatten()[packed.origins[group.rows]]
            scores = self._scores(attended, group.log_keep, own)
            group.write(kept, self.thresholds.hard(number, scores, group.inside, lengths[group.sequences]))
        return context, kept

    def _embed(self, input_ids: Tensor) -> Tensor:
        embeddings: Any = self.classifier.base_model.embeddings
        states: Tensor = embeddings(input_ids=input_ids)
        return states

    def _drawn(self, input_ids: Tensor, real: Tensor) -> Tensor | None:
        """Return the scores of the random baseline, None unless it is chosen."""
        return (
            random_scores(input_ids, real, self.thresholds.settings.seed)
            if self.thresholds.settings.mode == "random"
            else None
        )

    def _scores(self, attended: Attended, log_keep: Tensor, drawn: Tensor | None) -> Tensor:
        return self.score(attended, log_keep) if drawn is None else drawn


def real_tokens(attention_mask: Tensor) -> Tensor:
    """Return which tokens are no padding, bool `(batch, n)`; the first one of a sequence is CLS and always real."""
    real = attention_mask.bool()
    return torch.cat([torch.ones_like(real[:, :1]), real[:, 1:]], 1)
