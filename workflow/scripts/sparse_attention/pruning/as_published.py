"""Token pruning as the published code for code defects does it, in one module.

It differs from the paper that it follows (LTP) and from the other modules in these points:

- Thresholds are never learned, since their optimiser never steps.
- A pruned token is only hidden, and not from CLS, whose global attention masks padding alone.
- From the first layer that prunes on, queries near CLS see it twice: as the global column and in their window.
- Scores count the local attention of CLS, which is discarded, instead of its global attention.
- Scores are relative to the largest one.
- A soft weight multiplies a token's state, but not its share of the softmax as a key.
- CLS can be pruned.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sparse_attention.pruning.cls_attention import GlobalRow, cls_global_row
from sparse_attention.pruning.layers import Layer, classify, layers_of, merge_heads
from sparse_attention.pruning.model import Pruned, PrunedClassifier, real_tokens

MIN_SCORE = 1e-5
"""A token with a lower score is pruned, whatever the threshold."""


class PublishedClassifier(PrunedClassifier):
    """A Longformer classifier that prunes as published: tokens can be hidden, but not removed."""

    can_drop = False

    def forward(self, input_ids: Tensor, attention_mask: Tensor, mode: str = "dense") -> Pruned:
        """Classify with pruned tokens hidden; see `PrunedClassifier.forward`.

        With `soft`, a layer whose threshold is 0 has keep weights of 1, as in the published code.
        """
        real = real_tokens(attention_mask)
        states = self._embed(input_ids)
        padding = torch.zeros_like(real, dtype=states.dtype).masked_fill(~real, -torch.inf)
        mask, keep_weight, twice = padding, real.to(states.dtype), False
        keep, all_scores = [], []
        thresholds = self.thresholds.values()
        for number, layer in enumerate(layers_of(self.classifier)):
            attended, scores = published_attention(layer, states, mask, padding, twice)
            states = layer.finish(merge_heads(attended), states)
            if mode == "soft" and thresholds[number] != 0:
                weight = torch.sigmoid((scores.detach() - thresholds[number]) / self.thresholds.temperature)
                states = states * weight[..., None]
                keep_weight = keep_weight * weight
            elif mode == "hard" and thresholds[number] != 0:
                kept = (scores >= thresholds[number].clamp_min(MIN_SCORE)) & (mask > -torch.inf)
                mask, twice = padding.masked_fill(~kept, -torch.inf), True
                keep_weight = kept.to(states.dtype)
            keep.append(keep_weight * real)
            all_scores.append(scores * real)
        weights = torch.stack(keep)
        regulariser = self.thresholds.regulariser(weights, real)
        return Pruned(classify(self.classifier, states[:, 0]), weights, torch.stack(all_scores), regulariser)


def published_attention(
    layer: Layer, states: Tensor, mask: Tensor, padding: Tensor, twice: bool
) -> tuple[Tensor, Tensor]:
    """Compute a Longformer layer's attention as published.

    Parameters
    ----------
    layer : Layer
        Layer of a Longformer.
    states : Tensor
        ``(batch, n, hidden)``.
    mask : Tensor
        ``(batch, n)``, added to the logits: -inf for padding and pruned tokens, else 0.
    padding : Tensor
        ``(batch, n)``, added to the logits of CLS's global attention: -inf for padding, else 0.
    twice : bool
        Let queries whose window reaches CLS see it twice.

    Returns
    -------
    context : Tensor
        ``(batch, heads, n, head_dim)``.
    scores : Tensor
        ``(batch, n)`` in [0, 1], 1 for the token that receives most attention.
    """
    heads, module = layer.heads, layer.module.attention.self
    query, key, value = (tensor.unflatten(-1, (heads, -1)).transpose(1, 2) for tensor in layer.project(states))
    positions = torch.arange(states.shape[1], device=states.device)
    near = (positions[:, None] - positions).abs() <= layer.window // 2  # type: ignore[operator]  # Longformer has a window
    seen = near.clone()
    seen[:, 0] = True
    bias = mask[:, None, None].masked_fill(~seen, -torch.inf)
    if twice:
        bias = torch.cat([bias[..., :1] + math.log(2) * near[:, :1], bias[..., 1:]], -1)
    logits = query / math.sqrt(query.shape[-1]) @ key.transpose(-1, -2) + bias
    empty = logits.amax(-1, keepdim=True) == -torch.inf
    probabilities = torch.softmax(logits.masked_fill(empty, 0.0), -1).masked_fill(empty, 0.0)
    context = torch.nn.functional.dropout(probabilities, layer.drop, layer.module.training) @ value
    row: GlobalRow = cls_global_row(
        states, module.query_global(states[:, 0]).unflatten(-1, (heads, -1)), module.key_global.weight,
        module.value_global.weight, module.value_global.bias, padding, layer.drop if layer.module.training else 0.0,
    )  # fmt: skip
    received = ((mask > -torch.inf)[:, None, None].to(probabilities.dtype) @ probabilities.detach()).squeeze(2).sum(1)
    scores = received / received.amax(1, keepdim=True).clamp_min(torch.finfo(received.dtype).tiny)
    return torch.cat([row.context[:, :, None], context[:, :, 1:]], 2), scores
