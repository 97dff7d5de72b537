"""Queries and keys of any length: those of one example, or of several one after another."""

from __future__ import annotations

import logging

import pytest
import torch

from sparse_attention.attention.masks import valid_pairs
from sparse_attention.attention_timing.inputs import Stored, seen
from sparse_attention.errors import InputError
from sparse_attention.qk.store import QKInfo, QKReader, QKWriter


@pytest.fixture
def make(tmp_path):
    """Return a function that writes a store of four layers."""

    def store(queries, keys=None, **others):
        info = QKInfo(4, 2, 3, queries, keys or queries, tuple(map(str, queries)), **others)
        draw = torch.Generator().manual_seed(0)
        with QKWriter(tmp_path / "qk", info) as writer:
            for layer in range(info.layers):
                for index in range(info.examples):
                    lengths = info.query_lengths[index], info.key_lengths[index]
                    writer.write(layer, index, *(torch.randn(2, length, 3, generator=draw) for length in lengths))
        return tmp_path / "qk"

    return store


def test_a_short_length_is_the_beginning_of_the_longest_example(make):
    folder = make((5, 9, 7))
    inputs, example = Stored(folder).at(6), QKReader(folder).example(2, 1)
    assert torch.equal(inputs.query[0], example.queries[:, :6]) and torch.equal(inputs.key[0], example.keys[:, :6])
    assert inputs.value.shape == inputs.key.shape == (1, 2, 6, 3)


def test_a_greater_length_is_made_of_several_examples_and_cut(make):
    folder = make((5, 9, 7))
    stored, reader = Stored(folder), QKReader(folder)
    assert (stored.longest, stored.tokens) == (9, 21)
    for length in (9, 18, 21):
        inputs = stored.at(length)
        for found, name in ((inputs.query, "queries"), (inputs.key, "keys")):
            whole = torch.cat([getattr(reader.example(2, index), name) for index in (1, 2, 0)], 1)
            assert torch.equal(found[0], whole[:, :length])
        assert inputs.visible.mask().all()


def test_queries_and_keys_of_cross_attention_are_cut_to_one_length(make):
    stored = Stored(make((5, 9), (8, 4)))
    assert (stored.longest, stored.tokens) == (5, 12)
    inputs = stored.at(12)
    assert inputs.query.shape == inputs.key.shape == (1, 2, 12, 3)


@pytest.mark.parametrize("causal", [False, True], ids=["everything", "causal"])
@pytest.mark.parametrize("window", [None, 0, 3, 50], ids=["full", "self", "near", "wide"])
def test_a_sequence_sees_what_its_layer_allows(causal, window):
    assert torch.equal(seen(11, causal, window).mask()[0, 0], valid_pairs(11, 11, causal, window))


@pytest.mark.parametrize(
    ("windows", "layer"), [((), 2), ((None, 4, 4, None), 3), ((None, 4, 4, 4), 0), ((4,) * 4, 2)],
    ids=["all full", "last full", "first full", "none full"],
)  # fmt: skip
def test_the_full_layer_nearest_to_the_middle_is_taken(make, windows, layer):
    assert Stored(make((5,), local_windows=windows)).layer == layer


def test_lengths_that_do_not_fit_are_left_out_with_a_line_in_the_log(make, caplog):
    stored = Stored(make((5, 9)))
    with caplog.at_level(logging.INFO, logger="sparse_attention"):
        assert stored.lengths([4, 14, 15]) == [4, 14]
        assert "holds 14 tokens: 15 tokens are left out" in caplog.text and "all its" not in caplog.text
        assert stored.lengths([20, 30]) == [14]
        assert "no length fits, so all its 14 tokens are taken" in caplog.text


def test_more_tokens_than_there_are_and_unknown_layers_are_refused(make):
    folder = make((5, 9))
    with pytest.raises(InputError, match=r"15 tokens: .*qk holds 14; allowed: up to 14"):
        Stored(folder).at(15)
    with pytest.raises(InputError, match=r"layer 4: .*qk has 4 layers; allowed: 0 to 3"):
        Stored(folder, 4)
