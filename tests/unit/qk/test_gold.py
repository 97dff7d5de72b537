"""Gold supports against the entmax package, query by query, and their store."""

from __future__ import annotations

import json
from pathlib import Path

import entmax
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from sparse_attention.attention.masks import valid_pairs
from sparse_attention.errors import InputError
from sparse_attention.qk.gold import SIDECAR, GoldReader, GoldWriter, gold_of
from sparse_attention.qk.store import Example, QKInfo, shard_path

HEADS, DIM = 2, 4


def make_example(queries=9, keys=9, scale=3.0, seed=0, index=0, **mask):
    generator = torch.Generator().manual_seed(seed)
    vectors = [scale * torch.randn(HEADS, tokens, DIM, generator=generator) for tokens in (queries, keys)]
    return Example(index, *vectors, valid_pairs(queries, keys, **mask))


def reference(example, alpha):
    """Probabilities by the package, one query and only its valid keys at a time."""
    normalise = {1.5: entmax.entmax15, 2.0: entmax.sparsemax}.get(alpha)
    result = np.zeros((HEADS, *example.valid.shape))
    for head in range(HEADS):
        for i, query in enumerate(example.queries[head].double()):
            keys = example.valid[i].nonzero()[:, 0].tolist()
            if keys:
                scores = torch.stack([query @ example.keys[head, j].double() for j in keys]) / DIM**0.5
                row = normalise(scores, 0) if normalise else entmax.entmax_bisect(scores, alpha, 0, 100)
                result[head, i, keys] = row.numpy()
    return result


EXAMPLES = {
    "full": make_example(),
    "one token": make_example(1, 1),
    "causal": make_example(causal=True),
    "local": make_example(17, 17, local_window=2),
    "cross-attention": make_example(5, 12),
    "queries without keys": make_example(12, 5, local_window=1),
    "peaked": make_example(scale=100.0),
    "flat": make_example(scale=0.01),
}


@pytest.mark.parametrize("alpha", [1.25, 1.5, 2.0])
@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_gold_is_that_of_the_entmax_package(example, alpha):
    gold, expected = gold_of(example, alpha), reference(example, alpha)
    np.testing.assert_array_equal(gold.support.numpy(), expected > 0)
    np.testing.assert_allclose(gold.probabilities.numpy(), expected[expected > 0], rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(gold.dense().numpy(), expected, rtol=1e-4, atol=1e-7)
    assert gold.probabilities.dtype == torch.float32


def test_ties_share_the_probability():
    example = Example(0, torch.ones(HEADS, 4, DIM), torch.ones(HEADS, 4, DIM), valid_pairs(4, 4, causal=True))
    gold = gold_of(example, 1.5)
    assert torch.equal(gold.support, example.valid.expand(HEADS, 4, 4))
    torch.testing.assert_close(gold.dense()[1, 3], torch.full((4,), 0.25))


def test_huge_scores_give_one_key():
    example = make_example(scale=1e15)
    scores = example.queries.double() @ example.keys.double().transpose(1, 2)
    gold = gold_of(example, 1.5)
    assert torch.equal(gold.support.sum(-1), torch.ones(HEADS, 9, dtype=torch.int64))
    assert torch.equal(gold.support.int().argmax(-1), scores.argmax(-1))


def test_softmax_has_no_sparse_support():
    with pytest.raises(InputError, match=r"softmax.*entmax~A"):
        gold_of(make_example(), 1.0)


LENGTHS = {
    "ragged": ((9, 1, 16, 3), None),
    "cross-attention": ((9, 1, 16), (4, 17, 8)),
    "one": ((1,), None),
}


def make_store(folder, queries, keys=None, layers=2, **mask):
    """Write a store of gold supports; return its reader and what went in."""
    keys = keys or queries
    documents = tuple(str(index) for index in range(len(queries)))
    info = QKInfo(layers, HEADS, DIM, queries, keys, documents, source={"sha256": {"a": "b"}}, **mask)
    written = {}
    with GoldWriter(folder, info, {"qk.json": "0"}) as writer:
        for index in reversed(range(len(queries))):  # any order will do
            for layer in range(layers):
                example = make_example(queries[index], keys[index], 3.0, 10 * layer + index, index, **mask)
                written[layer, index] = example, gold_of(example, 1.5)
                writer.write(layer, *written[layer, index])
    return GoldReader(folder), info, written


@pytest.mark.parametrize("causal", [False, True], ids=["bidirectional", "causal"])
@pytest.mark.parametrize(("queries", "keys"), LENGTHS.values(), ids=LENGTHS.keys())
def test_store_round_trip(tmp_path, queries, keys, causal):
    reader, info, written = make_store(tmp_path, queries, keys, causal=causal)
    assert reader.info == info
    for layer in range(2):
        for index, gold in enumerate(reader.examples(layer)):
            expected = written[layer, index][1]
            assert gold.support.dtype == torch.bool
            assert torch.equal(gold.support, expected.support)
            assert torch.equal(gold.probabilities, expected.probabilities)


@pytest.mark.parametrize(("queries", "keys"), LENGTHS.values(), ids=LENGTHS.keys())
def test_sparsity_counts_valid_pairs_per_example_first(tmp_path, queries, keys):
    reader, _, written = make_store(tmp_path, queries, keys, causal=True)
    for layer in range(2):
        for head in range(HEADS):
            sparsity, size = [], []
            for index in range(len(queries)):
                example, gold = written[layer, index]
                n, m = example.valid.shape
                pairs = [(i, j) for i in range(n) for j in range(m) if j <= i]
                edges = sum(bool(gold.support[head, i, j]) for i, j in pairs)
                sparsity.append(1 - edges / len(pairs))
                size.append(edges / n)
            assert reader.sparsity[layer, head] == pytest.approx(np.mean(sparsity))
            assert reader.support_size[layer, head] == pytest.approx(np.mean(size))


def test_support_is_bit_packed_safetensors(tmp_path):
    _, _, written = make_store(tmp_path, (9, 1, 16, 3))
    tensors = load_file(shard_path(tmp_path, 1))
    packed = [np.packbits(written[1, index][1].support.numpy(), axis=-1).reshape(-1) for index in range(4)]
    packed = np.concatenate(packed)
    np.testing.assert_array_equal(tensors["support"].numpy()[: len(packed)], packed)
    assert len(tensors["support"]) == -(-len(packed) // 8) * 8
    assert len(tensors["probabilities"]) == sum(int(written[1, index][1].support.sum()) for index in range(4))


def test_unfinished_store_cannot_be_read(tmp_path):
    info = QKInfo(1, HEADS, DIM, (9, 9), (9, 9), ("a", "b"))
    example = make_example()
    with pytest.raises(ValueError, match="example 1 was never written"), GoldWriter(tmp_path, info) as writer:
        writer.write(0, example, gold_of(example, 1.5))
    with pytest.raises(InputError, match=SIDECAR):
        GoldReader(tmp_path)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-4])


def forget_sparsity(path):
    content = json.loads(path.read_text())
    del content["sparsity"]
    path.write_text(json.dumps(content))


def change(name, value):
    return lambda path: path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))


def point_outside(path):
    content = json.loads(path.read_text())
    content["offsets"][1][0] = 10**6
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("layer~1.safetensors", truncate, "truncated"),
        ("layer~1.safetensors", Path.unlink, "there is no such file"),
        (SIDECAR, Path.unlink, "there is no such file; allowed: a folder of gold supports"),
        (SIDECAR, truncate, "not valid JSON"),
        (SIDECAR, lambda path: path.write_text("[]"), "holds no JSON object; allowed: a folder of gold"),
        (SIDECAR, forget_sparsity, "lacks 'sparsity'"),
        (SIDECAR, change("sparsity", "x"), "sparsity is damaged; allowed: finite numbers of shape"),
        (SIDECAR, change("support_size", [[float("nan")]]), "support_size is damaged"),
        (SIDECAR, change("offsets", [[10**30]]), "offsets is damaged"),
        (SIDECAR, change("qk", 1), "no mapping; allowed: a mapping of alpha, causal"),
        (SIDECAR, point_outside, "outside the file"),
    ],
    ids=[
        "truncated",
        "no shard",
        "no sidecar",
        "no JSON",
        "other JSON",
        "key",
        "text",
        "NaN",
        "large",
        "no mapping",
        "offset",
    ],
)
def test_damage_is_named(tmp_path, name, damage, message):
    make_store(tmp_path, (9, 1, 16, 3))
    damage(tmp_path / name)
    with pytest.raises(InputError, match=f"{tmp_path}.*{message}"):
        list(GoldReader(tmp_path).examples(1))
