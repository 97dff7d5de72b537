"""How much of the gold support lies on the first and the last token, usually [CLS] and [SEP]."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from torch import Tensor

from sparse_attention.qk.gold import Gold, GoldStore


class Ends(NamedTuple):
    """What the first and the last token take from the keys of a layer's heads; each float64 ``(heads,)`` in [0, 1].

    Attributes
    ----------
    share : ndarray
        Share of the gold pairs whose key is one of the two.
    mass : ndarray
        Share of the gold probability on them.
    """

    share: np.ndarray
    mass: np.ndarray


def ends_of_layer(gold: GoldStore, layer: int) -> Ends:
    """Return the shares of the first and the last token in `layer`, averaged over examples.

    Entmax gives some heads little but these two tokens, on which they rest when they have nothing to do (attention
    sinks; Xiao et al., ICLR 2024). Predicting such a support is easy, so the shares belong beside every recall.
    """
    shares, masses = [], []
    for example in gold.examples(layer):
        support = example.support
        pairs = support.sum((1, 2)).clamp_min(1)
        shares.append((support[:, :, _ends(support)].sum((1, 2)) / pairs).double().numpy())
        masses.append(mass_on_ends(example).numpy())
    return Ends(np.mean(shares, axis=0), np.mean(masses, axis=0))


def mass_on_ends(gold: Gold) -> Tensor:
    """Return the share of each head's gold probability that is on the first and the last key, float64 ``(heads,)``."""
    probabilities = gold.dense().double()
    mass = probabilities.sum((1, 2)).clamp_min(1e-12)
    return probabilities[:, :, _ends(probabilities)].sum((1, 2)) / mass


def _ends(pairs: Tensor) -> list[int]:
    """Return the numbers of the first and the last key; one number when there is only one."""
    return sorted({0, pairs.shape[2] - 1})
