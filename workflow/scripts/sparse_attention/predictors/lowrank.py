"""Rank keys by approximate scores from few numbers per vector: principal components, or a query's largest channels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sparse_attention.errors import InputError
from sparse_attention.predictors.base import TopPredictor
from sparse_attention.predictors.features import Features
from sparse_attention.predictors.learning import weights_for

if TYPE_CHECKING:
    from sparse_attention.qk.gold import Gold


def masked_products(queries: Tensor, keys: Tensor, valid: Tensor) -> Tensor:
    """Return `q·k` of every pair, ``(heads, queries, keys)``, -inf for invalid pairs."""
    return (queries @ keys.transpose(-1, -2)).masked_fill_(~valid, -torch.inf)


def check_size(name: str, value: int, head_dim: int) -> None:
    """Raise `InputError` when a setting exceeds the number of channels of a head."""
    if value > head_dim:
        raise InputError(f"predictors.{name}: {value}; allowed: 1 to {head_dim}, the size of a head")


class PrincipalComponents(TopPredictor):
    """Keep the `keys` keys with the highest scores in the first `dim` principal components of a head's keys.

    From Loki (arXiv 2406.02542). The principal components are those of the keys of a calibration set, here the train
    split. Queries and keys are rotated into them, and their first components rank the keys.

    The components are computed around the mean key. A shift of all keys changes all scores of a query equally and so no
    rank; without centring, its direction would take the place of a useful component. Loki sets `keys` as a share of the
    context and reads the keys of a cache one token at a time; here, it is the same number for all queries. Keys are
    taken after rotary embeddings; Loki tries both.
    """

    name = "pca"
    label = "PCA of keys"
    group = "Estimates without training"
    paper = (
        "Singhania, Singh, He, Feizi, Bhatele. Loki: Low-rank Keys for Efficient Sparse Attention. NeurIPS 2024. "
        "arXiv:2406.02542"
    )
    fits = True
    parameters = {
        "dim": {"type": "integer", "minimum": 1, "description": "principal components, at most head_dim"},
        "keys": {"type": "integer", "minimum": 1},
    }

    def fit(self, layer: int, training: Iterable[tuple[Features, Gold]]) -> None:
        """Compute the principal components of the keys of each head, largest variance first, in float64."""
        count, total, moment = 0, torch.zeros(()), torch.zeros(())
        for features, _ in training:
            keys = features.raw_keys.double()
            count, total = count + keys.shape[1], total + keys.sum(1)
            moment = moment + keys.transpose(1, 2) @ keys
        mean = total / max(count, 1)
        covariance = moment / max(count, 1) - mean[:, :, None] * mean[:, None, :]
        components = torch.linalg.eigh(covariance).eigenvectors.flip(-1).float()
        # one component per row, so that they lie in memory as they are read from a file, and products round equally
        self.learned = {layer: {"keys": {"components": components.mT}}}

    def prepare(self, features: Features) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries and keys in all components, and the valid pairs."""
        components = weights_for(features, self.learned[features.layer])["keys"]["components"].mT
        return features.raw_queries @ components, features.raw_keys @ components, features.valid

    def scores(self, prepared: tuple[Tensor, Tensor, Tensor], **others: Any) -> Tensor:
        """Return the scores in the first `dim` components."""
        queries, keys, valid = prepared
        dim = others["dim"]
        check_size("pca.dim", dim, keys.shape[-1])
        return masked_products(queries[..., :dim], keys[..., :dim], valid)

    def cost(self, features: Features, **point: Any) -> float:
        """Count the rotation of every vector, and for each valid pair `dim` products and a comparison."""
        rotating = sum(features.shape[1:]) * features.raw_keys.shape[-1] * point["dim"]
        return rotating + features.valid_pairs * (point["dim"] + 1)


class LargestChannels(TopPredictor):
    """Keep the `keys` keys with the highest scores over the `channels` entries of largest magnitude of each query.

    This is the first step of SparQ (arXiv 2312.04985). Of equal magnitudes, the earlier channels are used. The other
    steps of SparQ are left out: the temperature, which changes no rank; the mean value, which replaces the keys that
    are not kept; and the most recent keys, which it always keeps (a window of the evaluation can do that).
    """

    name = "sparq"
    label = "SparQ channels"
    group = "Estimates without training"
    paper = "Ribar et al. SparQ Attention: Bandwidth-Efficient LLM Inference. ICML 2024. arXiv:2312.04985"
    parameters = {
        "channels": {"type": "integer", "minimum": 1, "description": "channels of each query, at most head_dim"},
        "keys": {"type": "integer", "minimum": 1},
    }

    def prepare(self, features: Features) -> tuple[Features, Tensor]:
        """Return the features, and the rank of the channels of each query: 0 for the largest magnitude."""
        order = features.raw_queries.abs().argsort(dim=-1, descending=True, stable=True)
        place = torch.arange(order.shape[-1], device=order.device).expand_as(order)
        return features, torch.empty_like(order).scatter_(-1, order, place)

    def scores(self, prepared: tuple[Features, Tensor], **others: Any) -> Tensor:
        """Return the scores over the `channels` largest channels of each query."""
        features, ranks = prepared
        check_size("sparq.channels", others["channels"], ranks.shape[-1])
        queries = features.raw_queries * (ranks < others["channels"])
        return masked_products(queries, features.raw_keys, features.valid)

    def cost(self, features: Features, **point: Any) -> float:
        """Count a comparison per channel of each query, and per valid pair `channels` products and a comparison."""
        choosing = features.shape[1] * features.raw_queries.shape[-1]
        return choosing + features.valid_pairs * (point["channels"] + 1)
