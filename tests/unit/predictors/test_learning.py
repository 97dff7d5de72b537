"""What learned predictors share: scaling, drawing, the losses, and what must hold however little there is to learn."""

from __future__ import annotations

import math
from itertools import islice

import pytest
import torch

from learnable import HEAD_DIM, HEADS, SETTINGS, features_like, gold_like, recall_and_sparsity, same_code
from sparse_attention.errors import InputError
from sparse_attention.predictors import learning
from sparse_attention.predictors.base import Context
from sparse_attention.predictors.features import block_features
from sparse_attention.predictors.learning import Pairs, TrainingStatistics, probability_pairs, support_pairs
from sparse_attention.predictors.registry import create
from sparse_attention.projections.weights import ProjectionSetting, apply_weights, initial_weights
from sparse_attention.qk.gold import block_gold

names = pytest.mark.parametrize("name", SETTINGS)


def new(name, seed=0, **fixed):
    return create(name, Context(seed, {**SETTINGS[name][0], **fixed}))


def fitted(name, examples, seed=0, layer=0, **fixed):
    predictor = new(name, seed, **fixed)
    predictor.fit(layer, examples)
    return predictor


def random_examples(shapes, causal=False, share=0.3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    examples = []
    for index, (n, m) in enumerate(shapes):
        vectors = (torch.randn(HEADS, size, HEAD_DIM, generator=generator) for size in (n, m))
        features = features_like(*vectors, causal=causal, index=index)
        support = (torch.rand(HEADS, n, m, generator=generator) < share) & features.valid
        examples.append((features, gold_like(support, torch.rand(HEADS, n, m, generator=generator))))
    return examples


RAGGED = [(5, 7), (9, 4), (1, 3), (6, 1)]


class TestSurvey:
    def test_scales_are_mean_and_deviation_of_all_vectors(self):
        examples = random_examples(RAGGED)
        statistics = TrainingStatistics.of(examples, support_pairs)
        for scale, side in ((statistics.queries, "raw_queries"), (statistics.keys, "raw_keys")):
            vectors = torch.cat([getattr(features, side) for features, _ in examples], 1).double()
            torch.testing.assert_close(scale.mean, vectors.mean(1, keepdim=True).float())
            torch.testing.assert_close(scale.deviation, vectors.std(1, keepdim=True, correction=0).float())

    def test_a_number_that_never_changes_is_only_moved(self):
        queries = torch.randn(HEADS, 8, HEAD_DIM)
        queries[..., 2] = 1e3 / 3
        features = features_like(queries, torch.full((HEADS, 8, HEAD_DIM), -7.0))
        statistics = TrainingStatistics.of([(features, gold_like(torch.ones(HEADS, 8, 8).bool()))], support_pairs)
        assert (statistics.queries.deviation[..., 2] == 1).all()
        assert (statistics.keys.deviation == 1).all()
        assert statistics.keys(features.raw_keys).abs().max() == 0

    @pytest.mark.parametrize("causal", [False, True])
    def test_share_is_that_of_gold_among_valid_pairs(self, causal):
        examples = random_examples([(5, 5), (9, 9)], causal)
        gold = sum(gold.support.sum((1, 2)) for _, gold in examples)
        valid = sum(int(features.valid.sum()) for features, _ in examples)
        assert valid == (15 + 45 if causal else 25 + 81)
        for view in (support_pairs, probability_pairs):
            torch.testing.assert_close(TrainingStatistics.of(examples, view).share, (gold + 1) / (valid + 2))

    def test_no_examples_are_refused(self):
        with pytest.raises(InputError, match="train split: holds no examples"):
            TrainingStatistics.of([], support_pairs)


@pytest.mark.parametrize("hidden", [None, 3])
def test_folded_weights_do_to_vectors_what_the_learned_do_to_scaled_ones(hidden):
    statistics = TrainingStatistics.of(random_examples(RAGGED), support_pairs)
    setting = ProjectionSetting("mlp" if hidden else "linear", 2, shared=False, hidden=hidden)
    weights = initial_weights(setting, HEADS, HEAD_DIM, torch.Generator().manual_seed(0))
    vectors = 3 + torch.randn(HEADS, 9, HEAD_DIM)
    expected = apply_weights(weights, statistics.keys(vectors))
    torch.testing.assert_close(apply_weights(statistics.keys.fold(weights), vectors), expected, atol=1e-5, rtol=1e-5)


class TestDraw:
    def test_examples_come_in_order_over_and_over_with_other_queries(self, monkeypatch):
        monkeypatch.setattr(learning, "QUERIES_PER_EXAMPLE", 4)
        examples = random_examples([(30, 7), (3, 5)])
        statistics = TrainingStatistics.of(examples, probability_pairs)
        drawn = list(islice(statistics.draw(examples, probability_pairs, torch.Generator().manual_seed(0)), 6))
        chosen = []
        for place, pairs in enumerate(drawn):
            features, gold = examples[place % 2]
            scaled = statistics.queries(features.raw_queries)
            torch.testing.assert_close(pairs.keys, statistics.keys(features.raw_keys))
            assert pairs.queries.shape[1] == min(4, features.shape[1])
            rows = [int((scaled[0] == row).all(-1).nonzero()) for row in pairs.queries[0]]
            assert len(set(rows)) == len(rows)
            assert torch.equal(pairs.queries, scaled[:, rows])
            assert torch.equal(pairs.target, gold.dense()[:, rows])
            assert torch.equal(pairs.valid, features.valid[rows])
            chosen.append(tuple(rows))
        assert len({chosen[0], chosen[2], chosen[4]}) == 3


def losses_of(pairs, rule):
    """The mean over what counts of `rule(head, query) -> list of numbers`."""
    heads, queries, _ = pairs.target.shape
    found = []
    for head in range(heads):
        numbers = [number for query in range(queries) for number in rule(head, query)]
        found.append(sum(numbers) / max(len(numbers), 1))
    return torch.tensor(found, dtype=torch.float64)


def some_pairs(causal=True, empty_row=False, view=support_pairs):
    (features, gold), = random_examples([(6, 6)], causal, share=0.6, seed=2)  # fmt: skip
    target = view(features, gold).target.double()
    if empty_row:
        target[:, 3] = 0
    logits = 3 * torch.randn(HEADS, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return logits, Pairs(features.raw_queries, features.raw_keys, target, features.valid)


class TestSupportLoss:
    @pytest.mark.parametrize("weight", [None, torch.tensor([7.0, 0.5])], ids=["even", "weighted"])
    @pytest.mark.parametrize("causal", [False, True])
    def test_is_the_mean_over_valid_pairs(self, causal, weight):
        logits, pairs = some_pairs(causal)

        def rule(h, i):
            for j in range(6):
                if pairs.valid[i, j]:
                    p = 1 / (1 + math.exp(-float(logits[h, i, j])))
                    gold = 1.0 if weight is None else float(weight[h])
                    yield -gold * math.log(p) if pairs.target[h, i, j] else -math.log(1 - p)

        torch.testing.assert_close(learning.support_loss(logits, pairs, weight), losses_of(pairs, rule))

    def test_invalid_pairs_have_no_part_in_it(self):
        logits, pairs = some_pairs()
        logits.requires_grad_()
        learning.support_loss(logits, pairs).sum().backward()
        assert (logits.grad[:, ~pairs.valid] == 0).all()
        assert (logits.grad[:, pairs.valid] != 0).all()

    def test_of_nothing_it_is_nothing(self):
        logits, pairs = some_pairs()
        nothing = pairs._replace(valid=torch.zeros(6, 6).bool(), target=torch.zeros(HEADS, 6, 6).double())
        assert learning.support_loss(logits, nothing).tolist() == [0, 0]


class TestDistributionLoss:
    @pytest.mark.parametrize("scale", [1, 4], ids=["token", "block"])
    @pytest.mark.parametrize("causal", [False, True])
    def test_is_cross_entropy_over_valid_keys_of_queries_that_have_gold_keys(self, causal, scale):
        logits, pairs = some_pairs(causal, empty_row=True, view=probability_pairs)
        rows = [i for i in range(6) if i != 3]

        def rule(h, i):
            if float(pairs.target[h, i].sum()) > 0:
                keys = [j for j in range(6) if pairs.valid[i, j]]
                total = sum(math.exp(float(logits[h, i, j])) for j in keys)
                shares = {j: math.exp(float(logits[h, i, j])) / total for j in keys}
                gold = pairs.target[h, i] / pairs.target[h, i].sum()
                yield -sum(float(gold[j]) * math.log(shares[j]) for j in keys)

        assert (pairs.target[:, rows].sum(-1) > 0).any()
        scaled = pairs._replace(target=scale * pairs.target)
        torch.testing.assert_close(learning.distribution_loss(logits, scaled), losses_of(pairs, rule))

    def test_gradients_are_finite_and_zero_where_nothing_is_to_be_learned(self):
        logits, pairs = some_pairs(empty_row=True, view=probability_pairs)
        logits.requires_grad_()
        valid = pairs.valid.clone()
        valid[3] = False
        learning.distribution_loss(logits, pairs._replace(valid=valid)).sum().backward()
        assert torch.isfinite(logits.grad).all()
        assert (logits.grad[:, ~valid] == 0).all()


class TestLearn:
    def pairs(self):
        while True:
            yield some_pairs()[1]

    def test_each_head_reaches_its_own_minimum_and_the_start_is_left_alone(self):
        goal = torch.tensor([[[2.0, -1.0]], [[0.5, 3.0]]])
        start = {"a": {"w": torch.zeros(2, 1, 2)}}
        learned = learning.learn(start, self.pairs(), lambda w, p, done: (w["a"]["w"] - goal).square().sum((1, 2)), 300)
        torch.testing.assert_close(learned["a"]["w"], goal, atol=1e-2, rtol=0)
        assert not learned["a"]["w"].requires_grad
        assert (start["a"]["w"] == 0).all()

    def test_a_step_takes_several_examples_and_the_rate_falls_to_nothing(self, monkeypatch):
        monkeypatch.setattr(learning, "EXAMPLES_PER_STEP", 3)
        seen = []

        def loss(learned, pairs, done):
            seen.append(done)
            return learned["a"]["w"].sum((1, 2))

        learned = learning.learn({"a": {"w": torch.zeros(1, 1, 1)}}, self.pairs(), loss, 4)
        assert seen == [step / 4 for step in range(4) for _ in range(3)]
        # Adam's steps along a constant gradient have the size of the rate
        assert float(learned["a"]["w"]) == pytest.approx(
            -learning.LEARNING_RATE * (1 + 3 / 4 + 2 / 4 + 1 / 4), rel=1e-4
        )


class TestEveryLearnedPredictor:
    @pytest.mark.parametrize(
        ("name", "causal"),
        [("gate", False), ("gate", True), ("hash_attention", True), ("indexer", False)],
        ids=["gate, rectangular", "gate, causal", "hash_attention, causal", "indexer, rectangular"],
    )
    def test_finds_keys_of_the_same_code_in_examples_it_has_not_seen(self, name, causal):
        sizes = {"queries": 32, "keys": 32, "causal": True} if causal else {}
        predictor = fitted(name, same_code(12, **sizes), steps=150)
        point = {"threshold": 0.5} if name == "gate" else {"keys": 4}
        recall, sparsity, gold_sparsity = recall_and_sparsity(predictor, same_code(4, first=50, **sizes), **point)
        assert recall >= 0.95
        if not causal or name == "gate":
            assert sparsity == pytest.approx(gold_sparsity, abs=0.01)

    @names
    def test_depends_on_seed_and_layer_and_on_no_order(self, name):
        examples = same_code(5)
        torch.manual_seed(3)
        before = torch.random.get_rng_state()
        first = fitted(name, examples, seed=4, steps=3)
        assert torch.equal(torch.random.get_rng_state(), before)
        torch.manual_seed(99)
        again = new(name, seed=4, steps=3)
        again.fit(1, examples)
        elsewhere = again.state()
        again.fit(0, examples)
        once, twice = first.state(), again.state()
        assert all(torch.equal(once[part], twice[part]) for part in once)
        for other in (elsewhere, fitted(name, examples, seed=5, steps=3).state()):
            assert not torch.equal(once["keys.w"], other["keys.w"])

    @names
    def test_heads_given_alone_are_predicted_as_among_the_others(self, name):
        examples = same_code(3)
        predictor, (features, _) = fitted(name, examples, steps=5), examples[0]
        whole = predictor.support(features, **SETTINGS[name][1])
        assert not torch.equal(whole[0], whole[1])
        for head in range(HEADS):
            alone = predictor.support(features.part(slice(head, head + 1)), **SETTINGS[name][1])
            assert torch.equal(alone, whole[head : head + 1])

    @names
    @pytest.mark.parametrize(
        ("shapes", "causal", "share"),
        [
            ([(1, 1)], False, 0.0),
            ([(1, 1)], True, 1.0),
            ([(5, 5), (1, 1), (9, 9)], True, 0.3),
            ([(5, 5), (1, 1), (9, 9)], False, 1.0),
            ([(70, 70)], False, 0.3),
            ([(70, 70)], True, 0.0),
        ],
        ids=["one pair, no gold", "one pair", "ragged, causal", "ragged, all gold", "one", "one, causal, no gold"],
    )
    def test_whatever_there_is_to_learn_weights_stay_finite(self, name, shapes, causal, share):
        examples = random_examples(shapes, causal, share)
        predictor = fitted(name, examples, steps=10)
        assert all(torch.isfinite(value).all() for value in predictor.state().values())
        for features, _ in examples:
            support = predictor.support(features, **SETTINGS[name][1])
            assert support.shape == features.shape
            assert not (support & ~features.valid).any()

    @names
    def test_vectors_of_any_size_are_learned_alike(self, name):
        examples = same_code(4)
        large = [
            (features_like(1e4 * features.raw_queries, 1e-4 * features.raw_keys, index=features.index), gold)
            for features, gold in examples
        ]
        point = SETTINGS[name][1]
        ordinary, scaled = (recall_and_sparsity(fitted(name, e), e, **point) for e in (examples, large))
        assert scaled == pytest.approx(ordinary, abs=0.01)
        assert ordinary[0] > 0.6

    @names
    def test_learns_of_blocks_of_tokens(self, name):
        blocks = [
            (block_features(features, 2), block_gold(gold, 2))
            for features, gold in same_code(16, queries=16, keys=32, run=2)
        ]
        predictor = fitted(name, blocks[:12], steps=150)
        point = {"threshold": 0.5} if name == "gate" else {"keys": 2}
        recall, sparsity, gold_sparsity = recall_and_sparsity(predictor, blocks[12:], **point)
        assert recall >= 0.95
        assert sparsity == pytest.approx(gold_sparsity, abs=0.01)
