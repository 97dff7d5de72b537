"""Tiny classifiers with attention that differs from token to token, and batches of several shapes."""

from __future__ import annotations

import pytest
import torch

from sparse_attention.pruning import scored_attention
from tiny_networks import CLASSIFIERS, tiny

LENGTHS = {
    "B1": [23],
    "B1-short": [3],
    "B2": [17, 30],
    "B2-equal": [12, 12],
    "B3-ragged": [40, 1, 26],
    "B4-padded": [5, 9, 7, 2],
}


@pytest.fixture(autouse=True)
def band_of_few_tokens(monkeypatch):
    """Let models this small meet the band as well as all pairs."""
    monkeypatch.setattr(scored_attention, "banded_from", lambda window, scored=True: 2 * window)


@pytest.fixture(autouse=True)
def one_thread():
    """Compute on one thread: models this small only wait for a second one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def make_classifier():
    """Return a function that makes a tiny classifier of a family, in evaluation mode."""

    def make(family: str, seed: int = 0):
        network = tiny(CLASSIFIERS[family], seed)
        for name, weight in network.named_parameters():
            if name.endswith(("query.weight", "key.weight", "query_global.weight", "key_global.weight")):
                weight.data *= 2
            elif weight.dim() == 1:
                weight.data += 0.1 * torch.randn(weight.shape)
        return network

    return make


@pytest.fixture
def make_batch():
    """Return a function that gives token ids and mask of some lengths, padded beyond the longest."""

    def make(shape: str, beyond: int = 2, seed: int = 0):
        lengths, generator = LENGTHS[shape], torch.Generator().manual_seed(seed)
        ids = torch.randint(2, 50, (len(lengths), max(lengths) + beyond), generator=generator)
        mask = (torch.arange(ids.shape[1]) < torch.tensor(lengths)[:, None]).long()
        return ids.masked_fill(mask == 0, 1), mask

    return make
