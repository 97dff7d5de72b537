"""A Hugging Face classifier whose layers prune tokens: by soft weights, by hard masks, or by removing them."""

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
    """Result of a forward pass in which pruned tokens are hidden.

    Attributes
    ----------
    logits : Tensor
        ``(batch, labels)``.
    keep : Tensor
        Product of the keep weights up to each layer, ``(layers, batch, n)``: in [0, 1] if soft, else 0 or 1; 0 for
        padding.
    scores : Tensor
        Importance scores, ``(layers, batch, n)``; 0 for padding.
    regulariser : Tensor
        Scalar, see `Thresholds.regulariser`.
    """

    logits: Tensor
    keep: Tensor
    scores: Tensor
    regulariser: Tensor


class Dropped(NamedTuple):
    """Result of a prediction in which pruned tokens are removed.

    Attributes
    ----------
    logits : Tensor
        ``(batch, labels)``.
    survived : Tensor
        Number of layers that kept each token, int64 ``(batch, n)``: 0 for a token that the first layer pruned, the
        number of layers for a token that none pruned, -1 for padding.
    """

    logits: Tensor
    survived: Tensor


class PrunedClassifier(nn.Module):
    """Wrap a sequence classifier, and prune tokens after each of its layers.

    A layer scores the tokens that are kept so far by its own attention, and prunes. A pruned token is neither query nor
    key from the next layer on, and its state after this layer is never read. The first token of a sequence is CLS: it
    counts as real whatever the mask says, and is never pruned.

    Parameters
    ----------
    classifier : PreTrainedModel
        Classifier of the family Longformer, RoBERTa or BERT.
    settings : PruningSettings
        How tokens are scored and pruned.

    Raises
    ------
    InputError
        When the classifier is of another family.
    """

    can_drop = True
    """Whether the class supports `predict_dropped`, which removes tokens."""

    def __init__(self, classifier: PreTrainedModel, settings: PruningSettings) -> None:
        super().__init__()
        self.classifier = classifier
        self.thresholds = Thresholds(len(layers_of(classifier)), settings)
        self.thresholds.to(classifier.device)
        self.score = create(settings.score)

    @property
    def settings(self) -> PruningSettings:
        """The settings of the model, with its current temperature."""
        return replace(self.thresholds.settings, temperature=self.thresholds.temperature)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, mode: str = "dense") -> Pruned:
        """Classify with pruned tokens hidden.

        Parameters
        ----------
        input_ids, attention_mask : Tensor
            int64 ``(batch, n)``; the mask is 0 for padding.
        mode : str
            `dense`: tokens are scored, but not pruned. `soft`: a token's keep weight multiplies its state, its share of
            the attention as a key, and its part in scores as a query; where a share of tokens decides instead of a
            threshold, `soft` is the same as `hard`. `hard`: pruned tokens are hidden.

        Raises
        ------
        ValueError
            When `mode` is none of these.
        """
        if mode not in STAGES:
            raise ValueError(f"mode: {mode!r} is not allowed; allowed: {', '.join(STAGES)}")
        real = real_tokens(attention_mask)
        states = self._embed(input_ids)
        positions = torch.arange(input_ids.shape[1], device=input_ids.device).expand_as(input_ids)
        log_keep = torch.zeros_like(real, dtype=states.dtype).masked_fill(~real, -torch.inf)
        baseline_scores = self._baseline_scores(input_ids, real)
        keep, all_scores = [], []
        for number, layer in enumerate(layers_of(self.classifier)):
            attended = layer.attend(states, layer.project(states), positions, log_keep)
            scores = self._scores(attended, log_keep, baseline_scores)
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
        """Classify with padding and pruned tokens removed, so that fewer tokens take less time.

        Parameters
        ----------
        input_ids, attention_mask : Tensor
            int64 ``(batch, n)``; the mask is 0 for padding.
        prune : bool
            False removes padding only.
        waste : float
            Largest share of padding, in [0, 1), in a sequence of a group whose attention is computed together; 0 pads
            nothing. The GPU kernels never pad.
        logits_only : bool
            Compute only CLS in the last layer, the only state that the logits depend on. That layer does not prune, so
            `survived` is at most the number of layers minus 1.

        Raises
        ------
        ValueError
            When the model is in training mode, since dropout is not supported here, or can only hide tokens.
        """
        if not self.can_drop:
            raise ValueError("the variant as_published hides tokens; they cannot be removed")
        if self.training:
            raise ValueError("predict_dropped needs evaluation mode")
        real = real_tokens(attention_mask)
        lengths = real.sum(1)
        longest = int(real.any(0).nonzero().max()) + 1
        packed = Packed(self._embed(input_ids[:, :longest]), real[:, :longest])
        baseline_scores = self._baseline_scores(input_ids[:, :longest], real[:, :longest])
        survived = torch.zeros(packed.batch * packed.n, dtype=torch.int64, device=real.device)
        *layers, last = layers_of(self.classifier)
        for number, layer in enumerate(layers if logits_only else [*layers, last]):
            context, kept = self._attend_packed(number, layer, packed, lengths, baseline_scores, prune, waste)
            if kept is not None:
                rows = packed.keep_only(kept)
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
        baseline_scores: Tensor | None,
        prune: bool,
        waste: float,
    ) -> tuple[Tensor, Tensor | None]:
        """Return the context of packed rows, ``(tokens, hidden)``, and which rows are kept, ``(tokens,)`` or None."""
        context, received = attend_packed(layer, packed, waste, scored=prune)
        if not prune:
            return context, None
        kept = torch.ones(len(packed.states), dtype=torch.bool, device=packed.states.device)
        for group, attended in received:
            own_scores = None if baseline_scores is None else baseline_scores.flatten()[packed.origins[group.rows]]
            scores = self._scores(attended, group.log_keep, own_scores)
            group.write(kept, self.thresholds.hard(number, scores, group.inside, lengths[group.sequences]))
        return context, kept

    def _embed(self, input_ids: Tensor) -> Tensor:
        embeddings: Any = self.classifier.base_model.embeddings
        states: Tensor = embeddings(input_ids=input_ids)
        return states

    def _baseline_scores(self, input_ids: Tensor, real: Tensor) -> Tensor | None:
        """Return the scores of the mode `random`, ``(batch, n)``; None for other modes."""
        return (
            random_scores(input_ids, real, self.thresholds.settings.seed)
            if self.thresholds.settings.mode == "random"
            else None
        )

    def _scores(self, attended: Attended, log_keep: Tensor, baseline_scores: Tensor | None) -> Tensor:
        return self.score(attended, log_keep) if baseline_scores is None else baseline_scores


def real_tokens(attention_mask: Tensor) -> Tensor:
    """Return which tokens are not padding, bool ``(batch, n)``; the first token, CLS, always counts as real."""
    real = attention_mask.bool()
    return torch.cat([torch.ones_like(real[:, :1]), real[:, 1:]], 1)
