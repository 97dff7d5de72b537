"""Each quirk does what the published code does, and nothing when it is off."""

from __future__ import annotations

import math
import random
import warnings
import zlib
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch.nn.utils import clip_grad_norm_

from sparse_attention.as_published import QUIRKS, fitting, measures, predictors, routing
from sparse_attention.as_published.registry import CHANGES
from sparse_attention.attention.entmax import probabilities
from sparse_attention.attention.masks import keep_mask, valid_pairs, window_mask
from sparse_attention.clusters.centroids import Centroids
from sparse_attention.predictors.base import Context
from sparse_attention.predictors.features import Features
from sparse_attention.predictors.registry import create
from sparse_attention.projections import fitting as projection_fitting
from sparse_attention.projections.batches import Pairs
from sparse_attention.projections.fitting import FitOptions
from sparse_attention.projections.losses import hinge_loss
from sparse_attention.projections.weights import ProjectionSetting, initial_weights
from sparse_attention.qk.store import Example

LINEAR = ProjectionSetting("linear", 2, True)
RANK, POSITIVES = {"negatives_by_rank"}, {"positives_as_negatives"}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def features(n=24, keys=None, heads=3, dim=2, causal=False, index=4, seed=0) -> Features:
    keys, draws = n if keys is None else keys, generator(seed)
    low = torch.randn(heads, n, dim, generator=draws), torch.randn(heads, keys, dim, generator=draws)
    raw = torch.randn(heads, n, 5, generator=draws), torch.randn(heads, keys, 5, generator=draws)
    return Features(0, index, *low, *raw, valid_pairs(n, keys, causal))


def predicted(predictor, given: Features, **point) -> torch.Tensor:
    return predictor.predict(predictor.prepare(given), **point).expand(given.shape)


def test_the_registry_says_what_each_quirk_is():
    assert len(QUIRKS) >= 26
    for name, quirk in QUIRKS.items():
        assert quirk.name == name and quirk.changes in CHANGES and callable(quirk.implementation)
        assert quirk.published.endswith(".") and ". " not in quirk.published
    assert set(fitting.ALL) == {name for name, quirk in QUIRKS.items() if quirk.changes == "projections"}


class TestInitialisation:
    def test_bounds_are_those_of_the_published_code(self):
        setting = ProjectionSetting("linear", 4, True)
        weights = fitting.initial_weights(setting, 50, 64, generator())
        assert 0.0615 < weights["w"].abs().max() <= 0.0625
        assert 0.95 < weights["b"].abs().max() <= 1
        assert initial_weights(setting, 50, 64, generator())["w"].abs().max() > 0.12

    @pytest.mark.parametrize(
        "setting",
        [LINEAR, ProjectionSetting("mlp", 3, False, 7), ProjectionSetting("linear", 2, True, concat=True)],
        ids=["linear", "mlp", "concat"],
    )
    def test_bounds_are_those_of_torch_on_the_whole_tensor(self, setting):
        ours = fitting.initial_weights(setting, 400, 9, generator())
        for name, value in ours.items():
            theirs = torch.empty(value.shape)
            if name.startswith("w"):
                torch.nn.init.kaiming_uniform_(theirs, a=math.sqrt(5), generator=generator(1))
            else:
                theirs.uniform_(-1, 1, generator=generator(1))
            assert value.abs().max() == pytest.approx(float(theirs.abs().max()), rel=0.02)


class Store:
    """Queries, keys and gold supports in memory, as a `QKReader` and a `GoldReader` at once."""

    def __init__(self, lengths, heads=2, head_dim=6, causal=False, seed=0, density=0.25):
        draws = generator(seed)
        self.info = SimpleNamespace(heads=heads, head_dim=head_dim, query_lengths=lengths, key_lengths=lengths)
        self.items = []
        for n in lengths:
            vectors = [torch.randn(heads, n, head_dim, generator=draws) for _ in range(2)]
            valid = valid_pairs(n, n, causal)
            support = (torch.rand(heads, n, n, generator=draws) < density) | torch.eye(n, dtype=torch.bool)
            self.items.append(
                SimpleNamespace(queries=vectors[0], keys=vectors[1], valid=valid, support=support & valid)
            )

    def example(self, layer, index):
        return self.items[index]


def pairs(lengths=(14, 9, 20, 3, 11), **settings) -> Pairs:
    store = Store(lengths, **settings)
    return Pairs(store, store)


def flat(weights):
    return torch.cat([value.flatten() for side in weights for value in side.values()])


SETTINGS = {
    "shared": LINEAR,
    "separate": ProjectionSetting("linear", 2, False),
    "mlp": ProjectionSetting("mlp", 2, True, 5),
    "concat": ProjectionSetting("linear", 2, True, concat=True),
    "blocks": ProjectionSetting("linear", 2, True, block_size=3),
}


class TestFitting:
    @pytest.mark.parametrize(
        "options", [{}, {"accumulation": 2}, {"max_steps": 3}], ids=["plain", "accumulated", "cut"]
    )
    @pytest.mark.parametrize("name", SETTINGS)
    def test_without_quirks_it_is_ours_to_the_last_bit(self, name, options):
        chosen = FitOptions(epochs=3, batch_size=2, **options)
        expected, _ = projection_fitting.fit_layer(1, pairs(), pairs((5,)), SETTINGS[name], chosen, 7)
        assert torch.equal(flat(fitting.fit_layer(1, pairs(), SETTINGS[name], chosen, 7)), flat(expected))

    @pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
    @pytest.mark.parametrize("quirk", fitting.ALL)
    def test_every_quirk_changes_the_result_and_repeats_it(self, quirk, causal):
        # some rows are dense, the last batch is smaller, and 5 batches leave one over
        train = pairs((14, 9, 20, 3, 11, 8, 8, 6, 7), causal=causal, density=0.6)
        options = FitOptions(epochs=3, batch_size=2, accumulation=2)
        none, first, again = (flat(fitting.fit_layer(0, train, LINEAR, options, 1, q)) for q in ((), {quirk}, {quirk}))
        assert torch.equal(first, again) and not torch.equal(first, none) and torch.isfinite(first).all()

    def test_the_bias_of_a_shared_projection_is_trained(self):
        options = FitOptions(epochs=2)
        zero, trained = (fitting.fit_layer(0, pairs(), LINEAR, options, 1, q)[0]["b"] for q in ((), {"trained_bias"}))
        drawn = initial_weights(LINEAR, 2, 6, projection_fitting._generator(1, 0, 0))["b"]
        assert not zero.any() and not torch.equal(trained, drawn) and (trained - drawn).abs().max() < 0.2

    def test_the_first_doubled_step_moves_weights_twice_as_far(self):
        options = FitOptions(epochs=1, batch_size=100, learning_rate=0.01)
        start = initial_weights(LINEAR, 2, 6, projection_fitting._generator(0, 0, 0))["w"]
        for quirks, length in (((), 0.01), ({"doubled_updates"}, 0.02)):
            moved = fitting.fit_layer(0, pairs(), LINEAR, options, 0, quirks)[0]["w"] - start
            assert moved.abs().max() == pytest.approx(length, rel=1e-3)

    def test_separate_projections_are_updated_once(self):
        options, setting = FitOptions(epochs=1), SETTINGS["separate"]
        once, doubled = (flat(fitting.fit_layer(0, pairs(), setting, options, 0, q)) for q in ((), {"doubled_updates"}))
        assert torch.equal(once, doubled)


class TestDoubledUpdates:
    def test_it_is_what_torch_does_with_every_parameter_twice(self):
        draws = generator()
        start = [torch.randn(3, 4, generator=draws), torch.randn(5, generator=draws)]
        ours, theirs = ([value.clone().requires_grad_() for value in start] for _ in range(2))
        options = {"lr": 0.01, "weight_decay": 0.1}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*duplicate parameters.*")
            reference, adam = torch.optim.Adam([*theirs, *theirs], **options), torch.optim.Adam(ours, **options)
        for scale in (5.0, 0.01, 1.0):
            for mine, other in zip(ours, theirs, strict=True):
                gradient = scale * torch.randn(mine.shape, generator=draws)
                mine.grad, other.grad = gradient.clone(), gradient.clone()
            fitting.doubled_update(adam, ours, 1.0)
            clip_grad_norm_([*theirs, *theirs], 1.0)
            reference.step()
            for mine, other in zip(ours, theirs, strict=True):
                torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)
                torch.testing.assert_close(mine.grad, other.grad)
            assert {int(state["step"]) for state in adam.state.values()} == {
                int(state["step"]) for state in reference.state.values()
            }
        assert {int(state["step"]) for state in adam.state.values()} == {6}

    def test_a_gradient_of_norm_5_becomes_one_of_norm_a_tenth(self):
        value = torch.zeros(25, requires_grad=True)
        value.grad = torch.ones(25)
        fitting.doubled_update(torch.optim.Adam([value]), [value], 1.0)
        assert value.grad.norm() == pytest.approx(0.1, rel=1e-4)


def plain_negatives(support, valid_keys, keys, chance):
    """Draw one row's negatives as published: `rank` is the order of an argsort that leaves zeros in any order."""
    zeros = [key for key in range(keys) if not support[key]]
    chance.shuffle(zeros)
    rank = [key for key in range(keys) if support[key]] + zeros
    positives = sum(support)
    candidates = rank[positives:valid_keys]
    chance.shuffle(candidates)
    others = rank[:positives] + rank[valid_keys:]
    chance.shuffle(others)
    return (candidates + others)[:positives]


class TestNegatives:
    # keys of the padded row, of the example, gold keys
    ROWS = {
        "sparse": (8, 6, [1, 4]),
        "half": (8, 6, [0, 2, 5]),
        "dense": (8, 6, [0, 1, 3, 4]),
        "all": (7, 4, [0, 1, 2, 3]),
    }

    @pytest.mark.parametrize("name", ROWS)
    def test_they_are_as_likely_as_by_the_published_steps(self, name):
        keys, valid_keys, gold = self.ROWS[name]
        repeats, chance = 4000, random.Random(0)
        support = torch.zeros(1, 1, repeats, keys, dtype=torch.bool)
        support[..., gold] = True
        valid = torch.zeros(1, repeats, keys, dtype=torch.bool)
        valid[..., :valid_keys] = True
        ours = fitting.sample_negatives(support, valid, generator(), RANK | POSITIVES)[0, 0]
        assert (ours.sum(-1) == len(gold)).all()
        counts: dict[tuple[int, ...], int] = {}
        for _ in range(repeats):
            chosen = tuple(sorted(plain_negatives(support[0, 0, 0].tolist(), valid_keys, keys, chance)))
            counts[chosen] = counts.get(chosen, 0) + 1
        found = {key: 0 for key in counts}
        for row in ours:
            found[tuple(row.nonzero()[:, 0].tolist())] += 1
        common = [key for key, count in counts.items() if count >= 20]
        expected = torch.tensor([counts[key] for key in common], dtype=torch.float64)
        got = torch.tensor([found[key] for key in common], dtype=torch.float64)
        # both are random: their difference has twice the variance
        assert ((got - expected) ** 2 / (2 * expected)).mean() < 2.5 and got.sum() > 0.95 * repeats

    def test_a_ragged_batch_has_padding_among_them(self):
        batch = pairs((20, 5, 9))._read(0, [0, 1, 2])
        right = fitting.sample_negatives(batch.support, batch.valid, generator(), ())
        wrong = fitting.sample_negatives(batch.support, batch.valid, generator(), RANK)
        padding = ~batch.valid.unsqueeze(1)
        assert not (right & padding).any()
        assert (wrong & padding)[1:].sum() > 0.5 * wrong[1:].sum()
        assert not (wrong & batch.support).any() and not wrong[1, :, 5:].any()

    def test_without_padding_they_are_as_they_should_be(self):
        batch = pairs((12, 12))._read(0, [0, 1])
        chosen = (fitting.sample_negatives(batch.support, batch.valid, generator(), quirks) for quirks in ((), RANK))
        assert torch.equal(*chosen)

    def test_only_queries_with_too_few_other_keys_get_other_negatives(self):
        batch = pairs((12, 9, 5), density=0.45)._read(0, [0, 1, 2])
        state = [generator(), generator()]
        right, wrong = (
            fitting.sample_negatives(batch.support, batch.valid, g, q)
            for g, q in zip(state, ((), POSITIVES), strict=True)
        )
        dense = 2 * batch.support.sum(-1) > batch.valid.sum(-1).unsqueeze(1)
        assert dense.any() and not dense.all()
        assert torch.equal(right[~dense], wrong[~dense]) and not (right & ~wrong).any()
        assert torch.equal(wrong.sum(-1), batch.support.sum(-1))
        assert torch.equal(state[0].get_state(), state[1].get_state())

    def test_causal_attention_has_later_keys_among_them(self):
        batch = pairs((16,), causal=True)._read(0, [0])
        wrong = fitting.sample_negatives(batch.support, batch.valid, generator(), RANK)
        assert (wrong & ~batch.valid).sum() > 0.3 * wrong.sum()
        # even the first query, which has no other key
        assert (wrong[..., 0, :].sum(-1) == 1).all()

    def test_missing_ones_are_gold_keys_and_a_wholly_dense_row_has_no_gradient(self):
        support, valid = torch.ones(1, 2, 4, 6, dtype=torch.bool), torch.ones(1, 4, 6, dtype=torch.bool)
        support[0, 1, :, :2] = False
        right = fitting.sample_negatives(support, valid, generator(), ())
        wrong = fitting.sample_negatives(support, valid, generator(), POSITIVES)
        assert torch.equal(right, ~support)
        assert torch.equal(wrong[0, 0], support[0, 0])
        assert (wrong[0, 1].sum(-1) == 4).all() and wrong[0, 1, :, :2].all()
        queries = torch.randn(1, 2, 4, 3, generator=generator(), requires_grad=True)
        losses = hinge_loss(
            queries, torch.randn(1, 2, 6, 3, generator=generator(1)), support.float() - wrong.float(), valid, 1.0, "l2"
        )
        (slope,) = torch.autograd.grad(losses.sum(), queries)
        assert losses[0, 0] == 1.0 and not slope[0, 0].any() and slope[0, 1].any()


class TestSteps:
    OPTIONS = FitOptions(batch_size=2, accumulation=2, epochs=3)

    def test_the_order_is_shuffled_unless_fixed(self):
        fixed = list(fitting.steps(10, self.OPTIONS, generator(), {"fixed_order"}))
        assert fixed == 3 * [[([0, 1, 2, 3], 4)], [([4, 5, 6, 7], 4)], [([8, 9], 2)]]
        shuffled = [i for step in fitting.steps(10, self.OPTIONS, generator(), ()) for part, _ in step for i in part]
        epochs = [shuffled[first : first + 10] for first in (0, 10, 20)]
        assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
        assert len(shuffled) == 30 and len(set(map(tuple, epochs))) == 3

    def test_what_is_left_over_spills_into_the_next_epoch_and_is_lost_in_the_end(self):
        quirks = {"fixed_order", "spilled_gradients"}
        a, b, c, d, e = ((part, 4) for part in ([0, 1], [2, 3], [4, 5], [6, 7], [8, 9]))
        assert list(fitting.steps(10, self.OPTIONS, generator(), quirks)) == [
            [a, b], [c, d], [e, a, b], [c, d], [e, a, b], [c, d],
        ]  # fmt: skip


def cluster_context(clusters=4, heads=3, dim=2, runs=1, seed=3) -> Context:
    centroids = torch.randn(heads, runs, clusters, dim, generator=generator(seed), dtype=torch.float64)
    return Context(1, {"clusters": clusters, "runs": runs}, Centroids((centroids,)))


def nearest(vectors, centroids, top):
    squared = (vectors.double()[:, :, None] - centroids[:, None]).square().sum(-1)
    return squared.argsort(dim=-1, stable=True)[..., :top]


class TestClusters:
    @pytest.mark.parametrize("top", [1, 2, 3])
    @pytest.mark.parametrize("keys", [30, 17], ids=["square", "rectangular"])
    def test_ranks_meet_their_like_only(self, top, keys):
        context, given = cluster_context(), features(30, keys)
        found = predicted(predictors.RankMatchedKMeans(context), given, top=top)
        sides = (nearest(x, context.centroids.layer(0)[:, 0], top) for x in (given.queries, given.keys))
        queries, keys_ = sides
        expected = (queries[:, :, None] == keys_[:, None, :]).any(-1)
        assert torch.equal(found, expected)

    def test_rank_matching_is_sparser_than_the_intersection_of_sets(self):
        context, given = cluster_context(8), features(200)
        ours, ranks = (
            predicted(p, given, top=2) for p in (create("kmeans", context), predictors.RankMatchedKMeans(context))
        )
        assert not (ranks & ~ours).any()
        assert ranks.float().mean() < 0.7 * ours.float().mean()

    def test_two_of_two_clusters_are_everything_as_sets_only(self):
        context, given = cluster_context(2), features(50)
        ours, ranks = (
            predicted(p, given, top=2) for p in (create("kmeans", context), predictors.RankMatchedKMeans(context))
        )
        assert ours.all() and not ranks.all()

    @pytest.mark.parametrize("keys", [40, 25], ids=["square", "rectangular"])
    def test_the_diagonal_is_forced_and_nothing_else(self, keys):
        context, given = cluster_context(8), features(40, keys)
        ours, wrong = (
            predicted(p, given, top=2) for p in (create("kmeans", context), predictors.DiagonalKMeans(context))
        )
        diagonal = window_mask(40, keys, 1)
        assert wrong[:, diagonal].all() and not ours[:, diagonal].all()
        assert torch.equal(wrong[:, ~diagonal], ours[:, ~diagonal])

    def test_one_cluster_means_the_same_to_all(self):
        context, given = cluster_context(), features(30)
        ours = predicted(create("kmeans", context), given, top=1)
        for predictor in (predictors.RankMatchedKMeans(context), predictors.DiagonalKMeans(context)):
            assert torch.equal(predicted(predictor, given, top=1), ours)

    def test_supports_and_predictions_agree(self):
        context, given = cluster_context(), features(30)
        for predictor in (predictors.RankMatchedKMeans(context), predictors.DiagonalKMeans(context)):
            ((_, support),) = predictor.supports(given, [{"top": 2}])
            assert torch.equal(support.unpacked(), predicted(predictor, given, top=2))


class TestPatterns:
    def random_part(self, given, **point):
        support = predicted(predictors.FirstPositionsBigBird(Context(1)), given, **point)
        n = given.shape[1]
        return support & ~(window_mask(n, n, 3) | keep_mask(n, n, "cls+last"))

    @pytest.mark.parametrize("t", [1, 3, 9])
    def test_bigbird_draws_among_the_first_positions(self, t):
        drawn = self.random_part(features(100, heads=8), random_keys=t)
        rows = drawn[:, 2 * t + 6 : -1]
        assert (rows.sum(-1) == t).all()
        places = rows.flatten(0, 1).any(0).nonzero()[:, 0].tolist()
        assert places == list(range(1, 2 * t + 4)) and max(places) < 2 * t + 5
        counts = rows.flatten(0, 1).sum(0)[1 : 2 * t + 4]
        # t different ones of 2t + 3: less spread than independent draws
        assert chisquare(counts.numpy()).pvalue > 1e-3

    def test_bigbird_leaves_out_window_global_tokens_and_the_corner_cases(self):
        t = 3
        drawn = torch.cat([self.random_part(features(60, index=i), random_keys=t) for i in range(40)])
        assert set(drawn[:, 5].any(0).nonzero()[:, 0].tolist()) == {1, 2, 3, 7, 8, 9}
        assert set(drawn[:, 1].any(0).nonzero()[:, 0].tolist()) == {3, 4, 5, 6, 7, 8}
        assert set(drawn[:, 9].any(0).nonzero()[:, 0].tolist()) == {2, 3, 4, 5, 6, 7}

    def test_bigbird_divides_its_keys_when_the_sequence_is_short(self):
        t = 8
        drawn = torch.cat([self.random_part(features(20, index=i), random_keys=t) for i in range(20)])
        first, second = drawn[:, 2:-1, :13], drawn[:, 2:-1, 13:]
        assert (first.sum(-1) <= 4).all() and (second.sum(-1) <= 4).all() and second.any()
        assert predictors.bigbird_plan(20, 8) == [(0, 13, 4), (13, 20, 4)]
        assert predictors.bigbird_plan(12, 8) == [(0, 12, 8)]
        assert predictors.bigbird_plan(22, 8) == [(0, 21, 8)]

    def test_a_batch_shares_its_random_keys(self):
        ours, wrong = create("bigbird", Context(1)), predictors.BatchedBigBird(Context(1), 24)

        def draw(predictor, index, n=24):
            return predicted(predictor, features(n, index=index), random_keys=3)

        assert torch.equal(draw(wrong, 0), draw(wrong, 15)) and not torch.equal(draw(wrong, 0), draw(wrong, 16))
        assert not torch.equal(draw(ours, 0), draw(ours, 15))
        assert (draw(wrong, 0)[:, 5].sum(-1) == draw(ours, 0)[:, 5].sum(-1)).all()
        # a shorter example has a part of the same numbers, with its own last token
        inner = ~keep_mask(15, 15, "cls+last")
        prepared = (wrong.prepare(features(n, index=1))[1] for n in (24, 15))
        long, short = prepared
        assert torch.equal(long[:, :15, :15][:, inner], short[:, inner])

    def test_longformer_has_fewer_random_global_tokens_of_the_padded_sequence(self):
        counts, firsts, n, padded, t = [], 0, 20, 40, 6
        for index in range(300):
            predictor = predictors.RandomGlobalsLongformer(Context(1), padded)
            support = predicted(predictor, features(n, index=index), global_tokens=t)
            chosen = support.all(1)
            assert torch.equal(chosen, support.all(2)) and (chosen == chosen[0]).all()
            expected = window_mask(n, n, 1) | chosen[0][:, None] | chosen[0]
            assert torch.equal(support, expected.expand(3, n, n))
            counts.append(int(chosen[0].sum()))
            firsts += bool(chosen[0, 0])
        # 2 to 5 draws of 40 positions, of which half are there
        assert 0 in counts and max(counts) <= t - 1 and sum(counts) / 300 == pytest.approx(3.5 / 2, rel=0.15)
        assert 0 < firsts < 60

    @pytest.mark.parametrize(("stride", "expressivity"), [(1, 0), (3, 1), (4, 2), (4, 0), (5, 4), (8, 2), (12, 2)])
    @pytest.mark.parametrize("keys", [25, 17, 31], ids=["square", "fewer keys", "more keys"])
    def test_strided_blocks_have_both_ends(self, stride, expressivity, keys):
        given = features(25, keys)
        found = predicted(predictors.BothEndsStrided(Context(1)), given, stride=stride, expressivity=expressivity)
        blocks = [range(end - stride, end + 1) for end in range(stride, 100, stride)]
        expected = torch.zeros(25, keys, dtype=torch.bool)
        for query in range(25):
            # the first block whose end is not before the query
            own = next(block for block in blocks if block[-1] >= query)
            for key in range(keys):
                expected[query, key] = key in own or any(key in block[stride - expressivity :] for block in blocks)
        assert torch.equal(found, expected.expand(3, 25, keys))

    def test_strided_blocks_of_4_let_a_quarter_more_pairs_in(self):
        given, point = features(400, heads=1), {"stride": 4, "expressivity": 2}
        ours, wrong = (
            predicted(p, given, **point)
            for p in (create("strided", Context(1)), predictors.BothEndsStrided(Context(1)))
        )
        assert float(wrong.float().mean() - ours.float().mean()) == pytest.approx(0.25, abs=0.01)

    @pytest.mark.parametrize("point", [{"stride": 24, "expressivity": 2}, {"stride": 5, "expressivity": 5}])
    def test_where_the_published_code_stops_the_support_is_complete(self, point):
        assert predicted(predictors.BothEndsStrided(Context(1)), features(24), **point).all()

    def test_rounding_lets_pairs_in_at_threshold_zero(self):
        given = features(200, dim=4)
        same = replace(given, keys=given.queries)
        ours, wrong = create("cos", Context(1)), predictors.UnclampedCosine(Context(1))
        assert not predicted(ours, same, threshold=0.0).any()
        kept = predicted(wrong, same, threshold=0.0)
        assert kept.any() and not kept[:, ~window_mask(200, 200, 1)].any()
        assert torch.equal(predicted(ours, given, threshold=0.5), predicted(wrong, given, threshold=0.5))


class TestHashing:
    POINT = {"buckets": 4, "rounds": 2, "tied": True}

    def test_the_global_generator_is_left_in_one_of_1000_states(self):
        states = set()
        for seed in range(1000):
            torch.manual_seed(seed)
            torch.randn(3, 4)
            states.add(float(torch.rand((), dtype=torch.float64)))
        for seed in (5, 2**40):
            torch.manual_seed(seed)
            predictors.hash_rotations(3, 4)
            assert float(torch.rand((), dtype=torch.float64)) in states

    def test_what_follows_depends_on_the_hash_seed_only(self):
        after: dict[int, set[float]] = {}
        for seed in range(300):
            torch.manual_seed(seed)
            hash_seed = int(torch.randint(1000, ()))
            torch.manual_seed(seed)
            predictors.hash_rotations(2)
            after.setdefault(hash_seed, set()).add(float(torch.rand(())))
        assert len(after) < 300 and all(len(values) == 1 for values in after.values())

    def test_measuring_leaves_the_global_generator_alone(self):
        predictor = predictors.ReseedingReformer(Context(1), 3)
        before = torch.random.get_rng_state()
        predicted(predictor, features(), **self.POINT)
        assert torch.equal(before, torch.random.get_rng_state())

    def test_a_batch_has_one_hash_for_each_head(self):
        predictor, given = predictors.ReseedingReformer(Context(1), 3), features()
        first, same, other = (predicted(predictor, replace(given, index=i), **self.POINT) for i in (0, 15, 16))
        assert torch.equal(first, same) and not torch.equal(first, other)
        ours = create("reformer", Context(1))
        assert not torch.equal(*(predicted(ours, replace(given, index=i), **self.POINT) for i in (0, 15)))
        part = predicted(predictor, given.part(slice(1, 3)), **self.POINT)
        assert torch.equal(part, first[1:])

    @pytest.mark.parametrize("rounds", [1, 3])
    def test_tied_supports_are_symmetric_with_a_full_diagonal(self, rounds):
        given = features(30)
        point = {**self.POINT, "rounds": rounds}
        support = predicted(predictors.ReseedingReformer(Context(2), 3), given, **point)
        assert torch.equal(support, support.mT) and support[:, window_mask(30, 30, 1)].all() and not support.all()
        rotations = predictors.ReseedingReformer(Context(2), 3).rotations(given, rounds, 2, 4)
        both = torch.cat([given.queries, given.keys], -1)
        turned = torch.einsum("hnd,hrkd->hnrk", both, rotations)
        bucket = torch.cat([turned, -turned], -1).argmax(-1)
        assert torch.equal(support, (bucket[:, :, None] == bucket[:, None]).any(-1))


def plain_centroids(vectors, clusters, rng):
    """Start from random vectors; ten times, each vector joins its most similar centroid, and their sum is the next."""
    centroids = [vectors[i] for i in rng.permutation(len(vectors))[:clusters]]
    for _ in range(10):
        members = [[] for _ in centroids]
        for vector in vectors:
            members[int(torch.stack([vector @ c for c in centroids]).argmax())].append(vector)
        sums = [sum(group) if group else c for group, c in zip(members, centroids, strict=True)]
        centroids = [total / total.norm() if group else total for group, total in zip(members, sums, strict=True)]
    return torch.stack(centroids)


class TestRouting:
    def test_a_vector_belongs_to_the_first_cluster_that_took_it(self):
        context, given = cluster_context(5), features(40)
        every, first = create("routing_kmeans", context), routing.FirstClusterRouting(context)
        wide, narrow = (predicted(p, given, membership="all") for p in (every, first))
        assert torch.equal(narrow, predicted(every, given, membership="first"))
        assert not (narrow & ~wide).any() and narrow.sum() < wide.sum()

    def test_all_examples_share_the_centroids_of_the_first_batch(self):
        batch = torch.randn(3, 80, 2, generator=generator(9), dtype=torch.float64)
        wrong, point = routing.FirstBatchRouting(Context(1), {0: batch}), {"clusters": 4, "membership": "all"}
        given = features(40)
        for index in (3, 20):
            found = predicted(wrong, replace(given, index=index), **point)
            rng = (np.random.default_rng((1, zlib.crc32(b"routing"), 0, 0, head)) for head in range(3))
            centroids = torch.stack([plain_centroids(vectors, 4, next(rng)) for vectors in batch])
            fixed = create("routing_kmeans", Context(1, {"clusters": 4, "runs": 1}, Centroids((centroids[:, None],))))
            assert torch.equal(found, predicted(fixed, given, membership="all"))
        part = predicted(wrong, given.part(slice(1, 3)), **point)
        assert torch.equal(part, found[1:])

    def test_long_vectors_weigh_more_in_them(self):
        batch = torch.randn(3, 80, 2, generator=generator(9), dtype=torch.float64)
        given, point = features(40), {"clusters": 4, "membership": "all"}
        found, even = (
            predicted(routing.FirstBatchRouting(Context(1), {0: vectors}), given, **point)
            for vectors in (batch, torch.nn.functional.normalize(batch, dim=-1))
        )
        assert not torch.equal(found, even)

    def test_padding_competes_and_makes_clusters_larger(self):
        context, given = cluster_context(4), features(21)
        ours = predicted(create("routing_kmeans", context), given, membership="all")
        unpadded, padded = (routing.PaddedRouting(context, length) for length in (21, 60))
        assert torch.equal(predicted(unpadded, given, membership="all"), ours)
        found = predicted(padded, given, membership="all")
        # the 16 most similar of 60, where padding has similarity 0
        centroids = context.centroids.layer(0)[:, 0]
        sides = []
        for vectors in (given.queries, given.keys):
            similarity = torch.nn.functional.normalize(vectors.double(), dim=-1) @ centroids.mT
            with_padding = torch.cat([similarity, torch.zeros(3, 39, 4, dtype=torch.float64)], 1)
            order = with_padding.argsort(dim=1, descending=True, stable=True)[:, :16]
            taken = torch.zeros(with_padding.shape, dtype=torch.bool).scatter_(1, order, True)
            sides.append(taken[:, :21])
        assert torch.equal(found, (sides[0][:, :, None] & sides[1][:, None]).any(-1))
        assert found.sum() != ours.sum()


def test_entmax_takes_later_keys_into_its_sum():
    given = features(20, causal=True)
    ours, wrong = (
        predicted(p, given, alpha=1.5) & given.valid
        for p in (create("entmax", Context(1)), predictors.UnmaskedEntmax(Context(1)))
    )
    scores = given.queries.double() @ given.keys.double().mT / 2**0.5
    assert torch.equal(wrong, (probabilities(scores, 1.5) > 0) & given.valid)
    assert not (wrong & ~ours).any() and wrong.sum() < ours.sum()
    assert not wrong.any(-1).all() and ours.any(-1).all()


def test_dynamic_buckets_are_as_many_as_of_the_longest_example():
    given, point = features(20), {"bucket_size": 5, "temperature": 1.0}
    found = predicted(predictors.PaddedDynamicBuckets(Context(1), 40), given, **point)
    sides = [((torch.tanh(x) + 1) / 2 * 8).ceil().clamp(1, 8) for x in (given.queries, given.keys)]
    assert torch.equal(found, (sides[0][:, :, None] == sides[1][:, None]).any(-1))
    same = predicted(predictors.PaddedDynamicBuckets(Context(1), 20), given, **point)
    assert torch.equal(same, predicted(create("dynamic", Context(1)), given, **point)) and not torch.equal(same, found)


class TestMasks:
    @pytest.mark.parametrize(("width", "first", "last"), [(2, 0, 1), (4, -1, 2), (512, -255, 256)])
    def test_even_windows_reach_further_to_the_right(self, width, first, last):
        row = measures.neighbours(600, 600, width)[300]
        assert (row.nonzero()[:, 0] - 300).tolist() == list(range(first, last + 1))

    @pytest.mark.parametrize("width", [0, 1, 3, 11])
    def test_other_windows_are_ours(self, width):
        assert torch.equal(measures.neighbours(9, 12, width), window_mask(9, 12, width))

    def test_the_last_token_is_that_of_the_longest_example(self):
        assert torch.equal(measures.kept_tokens(9, 9, 9), keep_mask(9, 9, "cls+last"))
        assert torch.equal(measures.kept_tokens(7, 7, 9), keep_mask(7, 7, "cls"))


class TestComputation:
    def test_heads_are_counted_once_and_lengths_squared(self):
        heads, dims, size = 12, 4, 16
        operations = [heads * dims * math.ceil(n / size) * size**2 for n in (256, 40)]
        assert measures.computation_sparsity([256], operations[:1]) == -2
        by_hand = ((1 - (operations[0] + 256 * 11) / 256**2) + (1 - (operations[1] + 256 * 11) / 1600)) / 2
        assert measures.computation_sparsity([256, 40], operations, 11) == pytest.approx(by_hand)

    def test_distances_never_save_anything(self):
        assert measures.computation_sparsity([8, 5], [64.0, 25.0]) == 0
        assert measures.computation_sparsity([8, 8], [64.0, 64.0], 3) == -3 / 8

    def test_buckets_count_the_largest_of_a_whole_batch(self):
        draws = generator()
        queries, keys = ([torch.randint(5, (3, n, 2), generator=draws) for n in (7, 4)] for _ in range(2))
        total = 0
        for head in range(3):
            largest = []
            for side in (queries, keys):
                counts = [sum(int((x[head] == bucket).sum()) for x in side) for bucket in range(5)]
                largest.append(max(counts))
            total += largest[0] * largest[1] * 5
        assert measures.bucket_operations(queries, keys, 5) == total


def test_entropy_is_pooled_over_heads_and_examples():
    # each head has all in one bucket, another one each
    heads = torch.arange(4)[:, None, None].expand(4, 7, 2)
    assert measures.pooled_entropy([heads, heads[:, :3]]) == pytest.approx(math.log(4))
    assert measures.pooled_entropy([heads[:1]]) == 0
    assert measures.pooled_entropy([torch.tensor([0, 0, 0, 5])]) == pytest.approx(
        0.75 * math.log(4 / 3) + math.log(4) / 4
    )


class TestGold:
    def test_rescaled_queries_make_scores_larger_by_the_root_of_their_size(self):
        example = Example(0, torch.randn(2, 5, 64), torch.randn(2, 5, 64), valid_pairs(5, 5))
        scores = measures.rescaled(example).queries @ example.keys.mT
        torch.testing.assert_close(scores, 8 * example.queries @ example.keys.mT)
        assert torch.equal(measures.rescaled(example).keys, example.keys)

    @pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
    def test_mirror_images_are_overwritten_by_half_the_least(self, causal):
        valid = valid_pairs(6, 6, causal)
        scores = 3 * torch.randn(2, 6, 6, generator=generator()).masked_fill(~valid, -torch.inf)
        given = probabilities(scores, 1.5)
        found, least = measures.symmetrised(given, valid), float(given[given > 0].min())
        for head in range(2):
            for i in range(6):
                for j in range(6):
                    value = least / 2 if given[head, j, i] > 0 else float(given[head, i, j])
                    assert found[head, i, j] == pytest.approx(value if valid[i, j] else 0.0)
        assert torch.equal(found > 0, ((given > 0) | (given > 0).mT) & valid)


@pytest.mark.parametrize(
    ("path", "evaluated"),
    [
        ("data/roberta/kqs_enc-attn.pt", "data/roberta/kqs_validation_enc-attn.pt"),
        ("data/roberta/train_enc-attn.pt", "data/roberta/train_enc-attn.pt"),
        ("data/iwslt_enc-attn.pt", "data/iwslt_enc-attn.pt"),
    ],
)
def test_a_file_of_another_name_is_evaluated_on_itself(path, evaluated):
    assert measures.evaluation_file(path) == evaluated


def test_a_query_without_keys_attends_to_all():
    scores = torch.randn(2, 6, 6, generator=generator())
    support = torch.rand(2, 6, 6, generator=generator(1)) < 0.5
    support[:, 2] = False
    found = measures.penalised(scores, support, 1.5)
    full = probabilities(scores, 1.5)
    torch.testing.assert_close(found[:, 2], full[:, 2], atol=2e-3, rtol=0)
    rows = support.any(-1)
    masked = probabilities(scores, 1.5, support)
    torch.testing.assert_close(found[rows], masked[rows])
    assert not found[rows][~support[rows]].any()
