"""Resampled means and their intervals against plain repetition."""

import numpy as np
import pytest

from sparse_attention.summaries.bootstrap import draws, estimate, resampled_means


@pytest.mark.parametrize("shape", [(5,), (5, 2, 3)], ids=["numbers", "arrays"])
def test_resampling_is_repeating_documents(shape):
    rng = np.random.default_rng(0)
    values, examples = rng.random(shape), rng.integers(1, 6, shape[0])
    found = resampled_means(values, examples, 7)
    assert found[0] == pytest.approx(np.repeat(values, examples, axis=0).mean(0))
    for times, mean in zip(draws(shape[0], 7, stream=0), found[1:], strict=True):
        chosen = [place for place, count in enumerate(times) for _ in range(count)]
        assert len(chosen) == shape[0]
        assert mean == pytest.approx(np.repeat(values[chosen], examples[chosen], axis=0).mean(0))


def test_draws_are_the_same_every_time_and_different_for_seeds():
    assert (draws(6, 50, stream=0) == draws.__wrapped__(6, 50, stream=0)).all()
    assert (draws(6, 50, stream=0) != draws(6, 50, stream=1)).any()
    assert draws(6, 5000, stream=0).mean(0) == pytest.approx(np.ones(6), abs=0.1)


@pytest.mark.parametrize("seeds", [1, 3])
def test_intervals_are_quantiles_of_the_means_over_drawn_seeds(seeds):
    values = np.random.default_rng(seeds).random((1 + 400, seeds, 2))
    found = estimate(values, documents=10)
    assert found.mean == pytest.approx(values[0].mean(0))
    means = [
        np.mean([own[seed] for seed in range(seeds) for _ in range(times[seed])], axis=0)
        for own, times in zip(values[1:], draws(seeds, 400, stream=1), strict=True)
    ]
    assert found.low == pytest.approx(np.quantile(means, 0.025, axis=0))
    assert found.high == pytest.approx(np.quantile(means, 0.975, axis=0))
    assert np.isnan(found.ci95).all() == (seeds == 1)


def test_the_interval_of_a_mean_is_as_wide_as_theory_says():
    values = np.random.default_rng(1).normal(size=200)
    found = estimate(resampled_means(values, np.ones(200), 2000)[:, None], documents=200)
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(200), rel=0.08)


def test_one_document_and_one_seed_have_no_interval():
    values = np.full((11, 1), 0.5)
    assert np.isnan(estimate(values, documents=1).low) and estimate(values, documents=2).low == 0.5
    assert np.isnan(estimate(values[:1], documents=9).high)
    assert estimate(np.tile(values, 2), documents=1).high == 0.5


def test_values_missing_in_a_seed_or_many_resamples_are_blank():
    values = np.random.default_rng(0).random((101, 2, 3))
    values[0, 1, 0] = np.nan
    values[1:11, :, 1] = np.nan
    values[1:4, :, 2] = np.nan
    found = estimate(values, documents=5)
    assert np.isnan(found.mean).tolist() == [True, False, False]
    assert np.isnan(found.low).tolist() == [True, True, False]
    means = values[4:, :, 2] * draws(2, 100, stream=1)[3:]
    assert found.low[2] == pytest.approx(np.quantile(means.sum(1) / 2, 0.025))


def test_a_seed_that_was_not_drawn_may_lack_a_value():
    values = np.random.default_rng(0).random((101, 2))
    missing = draws(2, 100, stream=1)[:, 1] == 0
    values[1:, 1][missing] = np.nan
    filled = np.where(np.isnan(values), -9, values)
    assert missing.any() and np.array_equal(estimate(values, 5), estimate(filled, 5))
