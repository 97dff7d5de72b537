"""Batches by block and of joint queries and keys, and the loss of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from fitting_pairs import Store, generator, plain_loss, planted
from sparse_attention.errors import InputError
from sparse_attention.projections import batches, fitting
from sparse_attention.projections.batches import Pairs
from sparse_attention.projections.fitting import FitOptions, fit_layer
from sparse_attention.projections.losses import distances, hinge_loss
from sparse_attention.projections.weights import ProjectionSetting, initial_weights


def random_pairs(lengths, causal=False, heads=2, head_dim=3, density=0.08, seed=3) -> Pairs:
    """Random vectors; supports so sparse that many pairs of blocks hold no gold pair, and some queries have none."""
    draws = generator(seed)
    items = []
    for n, m in lengths:
        vectors = (torch.randn(heads, size, head_dim, generator=draws) for size in (n, m))
        support = torch.rand(heads, n, m, generator=draws) < density
        items.append((*vectors, support.tril() if causal else support))
    store = Store(items, causal)
    return Pairs(store, store)


def plain_positions(low, size):
    """Blocks of one head's projected vectors: the tokens' numbers one after the other, zeros for those that lack."""
    n, dim = low.shape
    rows = []
    for first in range(0, n, size):
        row = []
        for token in range(first, first + size):
            row += low[token].tolist() if token < n else [0.0] * dim
        rows.append(row)
    return torch.tensor(rows, dtype=low.dtype)


def plain_any(pairs, size):
    """Whether any pair of two blocks' tokens is True."""
    n, m = pairs.shape
    found = torch.zeros(-(-n // size), -(-m // size), dtype=torch.bool)
    for i, j in pairs.nonzero().tolist():
        found[i // size, j // size] = True
    return found


FORMS = {
    "blocks of 2": ([(6, 6), (4, 4)], False, False, 2),
    "ragged blocks of 4": ([(9, 9), (3, 3), (1, 1)], False, False, 4),
    "blocks, queries and keys differ": ([(7, 10), (5, 2)], False, False, 3),
    "causal blocks": ([(8, 8), (5, 5)], True, False, 3),
    "one block": ([(5, 5), (3, 3)], False, False, 16),
    "concat": ([(6, 6), (4, 4)], False, True, 1),
    "concat, causal": ([(7, 7), (5, 5)], True, True, 1),
    "concat, ragged blocks": ([(9, 9), (4, 4)], False, True, 4),
    "concat, causal blocks": ([(8, 8), (5, 5)], True, True, 3),
}


@pytest.mark.parametrize("kind", ["l2", "min"])
@pytest.mark.parametrize("name", FORMS)
def test_loss_by_block_and_of_joint_vectors_equals_plain_loops(name, kind):
    lengths, causal, concat, size = FORMS[name]
    setting = ProjectionSetting("linear", 2, True, None, size, concat)
    pairs = random_pairs(lengths, causal).for_setting(setting)
    weights = {key: value.double() for key, value in initial_weights(setting, 2, 3, generator()).items()}
    (batch,) = pairs.batches(0, range(len(lengths)), len(lengths))
    batch = replace(batch, queries=batch.queries.double(), keys=batch.keys.double())
    queries, keys = batch.project((weights, weights))
    signs = fitting._signs(batch, generator(1)).double()
    negatives = signs < 0
    assert torch.equal(signs > 0, batch.positives) and not (negatives & ~batch.valid.unsqueeze(1)).any()
    others = (batch.valid.unsqueeze(1) & ~batch.positives).sum(-1)
    assert torch.equal(negatives.sum(-1), torch.minimum(batch.positives.sum(-1), others))
    losses = hinge_loss(queries, keys, signs, batch.valid, 0.7, kind)
    for index, (n, m) in enumerate(lengths):
        example = pairs.qk.example(0, index)
        rows, columns = -(-n // size), -(-m // size)
        valid = plain_any(example.valid, size)
        assert torch.equal(batch.valid[index, :rows, :columns], valid) and batch.valid[index].sum() == valid.sum()
        sides, supports, positives = ([], []), [], []
        for head in range(2):
            for side, vectors in zip(sides, (example.queries, example.keys), strict=True):
                given = torch.cat([example.queries[head], example.keys[head]], 1) if concat else vectors[head]
                low = torch.stack([vector @ weights["w"][head] + weights["b"][head, 0] for vector in given.double()])
                side.append(plain_positions(low, size))
            supports.append(plain_any(example.support[head], size))
            both = example.support[head].clone()
            for i, j in example.support[head].nonzero().tolist() if concat else []:
                both[j, i] |= example.valid[j, i]
            positives.append(plain_any(both, size))
        assert torch.equal(batch.support[index, :, :rows, :columns], torch.stack(supports))
        assert torch.equal(batch.positives[index, :, :rows, :columns], torch.stack(positives))
        plain = plain_loss(
            torch.stack(sides[0]), torch.stack(sides[1]), torch.stack(positives),
            negatives[index, :, :rows, :columns], valid, 0.7, kind,
        )  # fmt: skip
        assert losses[index].tolist() == pytest.approx(plain, rel=1e-9, abs=1e-9)


def test_curves_measure_the_gold_support_and_not_the_positives():
    pairs = random_pairs([(6, 6)], density=0.3).for_setting(ProjectionSetting("linear", 2, True, concat=True))
    curves = fitting.Curves(0, (("train", pairs),), FitOptions(eval_examples=1), 0)
    weights = initial_weights(ProjectionSetting("linear", 2, True, concat=True), 2, 3, generator())
    curves.add(0, (weights, weights))
    (batch,) = pairs.batches(0, [0], 1)
    near = distances(*batch.project((weights, weights)), "l2") < 1
    assert not torch.equal(batch.support, batch.positives)
    recall = (near & batch.support).sum((-1, -2)) / batch.support.sum((-1, -2))
    assert curves.rows[0]["recall"] == pytest.approx(recall.mean().item())


@pytest.mark.parametrize("kind", ["l2", "min"])
@pytest.mark.parametrize(
    "setting",
    [
        ProjectionSetting("linear", 2, True, block_size=2),
        ProjectionSetting("linear", 2, True, concat=True),
        ProjectionSetting("mlp", 2, True, 8, 2, True),
    ],
    ids=["blocks", "concat", "mlp with blocks and concat"],
)
def test_fitting_by_block_and_jointly_lowers_the_loss(kind, setting):
    options = FitOptions(distance=kind, epochs=30, learning_rate=0.03, batch_size=4)
    (of_queries, of_keys), curves = fit_layer(0, planted(), planted(6, seed=1), setting, options, seed=1)
    assert of_queries is of_keys and next(iter(of_queries.values())).shape[1] == setting.inputs(6)
    first, *_, last = (row["loss"] for row in curves if row["split"] == "train")
    assert last < 0.6 * first


def test_one_map_of_query_and_key_needs_as_many_of_both():
    setting = ProjectionSetting("linear", 2, True, concat=True)
    uneven = random_pairs([(4, 4), (5, 6)])
    with pytest.raises(InputError, match=r"projections\.concat: true, but example 1 has 5 queries and 6 keys"):
        fit_layer(0, uneven, uneven, setting, FitOptions(), 0)


def test_pieces_are_cut_by_pairs_of_blocks(monkeypatch):
    monkeypatch.setitem(batches.PAIRS_AT_ONCE, "cpu", 2 * 2 * 4 * 4)
    whole, blocks = (
        random_pairs([(8, 8)] * 4).for_setting(ProjectionSetting("linear", 2, True, block_size=size)) for size in (1, 2)
    )
    assert [len(list(pairs.batches(0, range(4), 4))) for pairs in (whole, blocks)] == [4, 2]
