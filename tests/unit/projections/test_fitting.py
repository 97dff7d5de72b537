from __future__ import annotations

import pytest
import torch
from scipy.stats import chisquare

from fitting_pairs import generator, plain_loss, planted
from sparse_attention.projections import batches, fitting, losses
from sparse_attention.projections.fitting import FitOptions, fit_layer
from sparse_attention.projections.losses import distances, hinge_loss, sample_negatives, signed_sums
from sparse_attention.projections.weights import ProjectionSetting

LINEAR = ProjectionSetting("linear", 2, True)


def ragged_batch(lengths, causal=False, density=0.3, heads=2, seed=0):
    """Supports and valid pairs of examples padded to the longest; every true query has a key in its support."""
    n, m = (max(sizes) for sizes in zip(*lengths, strict=True))
    draws = generator(seed)
    valid = torch.zeros(len(lengths), n, m, dtype=torch.bool)
    for row, (queries, keys) in zip(valid, lengths, strict=True):
        row[:queries, :keys] = True
    if causal:
        valid &= torch.ones(n, m).tril().bool()
    support = torch.rand(len(lengths), heads, n, m, generator=draws) < density
    support[..., 0] = True
    return support & valid.unsqueeze(1), valid


SHAPES = {
    "equal": ([(6, 6), (6, 6)], False, 0.3),
    "ragged": ([(7, 7), (3, 3), (1, 1)], False, 0.3),
    "queries and keys differ": ([(5, 9), (8, 2)], False, 0.3),
    "causal": ([(8, 8), (5, 5)], True, 0.3),
    "dense": ([(6, 6), (4, 4)], False, 0.9),
    "everything": ([(5, 5), (2, 2)], False, 1.0),
}


@pytest.mark.parametrize("kind", ["l2", "min"])
@pytest.mark.parametrize("name", SHAPES)
def test_loss_and_gradient_equal_plain_loops(name, kind):
    lengths, causal, density = SHAPES[name]
    support, valid = ragged_batch(lengths, causal, density)
    draws = generator(1)
    queries = torch.randn(*support.shape[:3], 3, generator=draws, dtype=torch.float64, requires_grad=True)
    keys = torch.randn(
        *support.shape[:2], support.shape[3], 3, generator=draws, dtype=torch.float64, requires_grad=True
    )
    negatives = sample_negatives(support, valid, draws)
    losses = hinge_loss(queries, keys, support.double() - negatives.double(), valid, 0.7, kind)
    for example, (n, m) in enumerate(lengths):
        plain = plain_loss(
            queries[example, :, :n], keys[example, :, :m], support[example, :, :n, :m],
            negatives[example, :, :n, :m], valid[example, :n, :m], 0.7, kind,
        )  # fmt: skip
        assert losses[example].tolist() == pytest.approx(plain, rel=1e-12, abs=1e-12)
    for side, count in ((queries, 0), (keys, 1)):
        (slope,) = torch.autograd.grad(losses.sum(), side, retain_graph=True)
        for example, sizes in enumerate(lengths):
            assert not slope[example, :, sizes[count] :].any()


@pytest.mark.parametrize("kind", ["l2", "min"])
def test_sums_and_distances_equal_differences_of_pairs(kind):
    queries, keys = torch.randn(2, 3, 5, 4, dtype=torch.float64), torch.randn(2, 3, 7, 4, dtype=torch.float64)
    squares = (queries.unsqueeze(-2) - keys.unsqueeze(-3)).square()
    pairs = squares.sum(-1) if kind == "l2" else squares.amin(-1)
    signs = torch.randint(-1, 2, (2, 3, 5, 7)).double()
    torch.testing.assert_close(distances(queries, keys, kind), pairs)
    torch.testing.assert_close(signed_sums(queries, keys, signs, kind), (signs * pairs).sum(-1))


def test_distances_of_equal_vectors_are_never_negative():
    vectors = 1e3 + torch.randn(1, 50, 4)
    assert distances(vectors, vectors, "l2").min() >= 0


@pytest.mark.parametrize("name", SHAPES)
def test_negatives_are_as_many_as_positives_or_all_there_are(name):
    lengths, causal, density = SHAPES[name]
    for seed in range(20):
        support, valid = ragged_batch(lengths, causal, density, seed=seed)
        negatives = sample_negatives(support, valid, generator(seed))
        others = valid.unsqueeze(1) & ~support
        assert not (negatives & ~others).any()
        assert torch.equal(negatives.sum(-1), torch.minimum(support.sum(-1), others.sum(-1)))


@pytest.mark.parametrize("rounds", [0, 1, 4], ids=["sorting", "one round and sorting", "rejection"])
def test_negatives_are_uniform_over_all_choices(monkeypatch, rounds):
    monkeypatch.setattr(losses, "ROUNDS", rounds)
    keys, repeats = 8, 6000
    support = torch.zeros(1, 1, repeats, keys, dtype=torch.bool)
    support[..., [1, 4]] = True
    valid = torch.ones(1, repeats, keys, dtype=torch.bool)
    valid[..., 6] = False
    negatives = sample_negatives(support, valid, generator())[0, 0]
    codes = (negatives * 2 ** torch.arange(keys)).sum(-1)
    choices, counts = codes.unique(return_counts=True)
    assert len(choices) == 10  # two of the five keys 0, 2, 3, 5, 7
    assert chisquare(counts.numpy()).pvalue > 1e-3


def test_negatives_depend_on_the_seed_only():
    support, valid = ragged_batch([(40, 40), (30, 30)], density=0.05)
    first, again, other = (sample_negatives(support, valid, generator(seed)) for seed in (5, 5, 6))
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize("kind", ["l2", "min"])
@pytest.mark.parametrize(
    "setting",
    [LINEAR, ProjectionSetting("linear", 2, False), ProjectionSetting("mlp", 2, True, 8)],
    ids=["linear", "separate", "mlp"],
)
def test_fitting_finds_the_planted_dimensions(kind, setting):
    options = FitOptions(distance=kind, epochs=30, learning_rate=0.03, batch_size=4)
    (of_queries, of_keys), curves = fit_layer(0, planted(), planted(6, seed=1), setting, options, seed=1)
    assert (of_queries is of_keys) == setting.shared
    validation = [row for row in curves if row["split"] == "validation"]
    assert validation[-1]["loss"] < 0.5 * validation[0]["loss"]
    if setting.kind == "linear" and kind == "l2":
        weights = of_queries["w"].abs().amax(-1)
        assert (weights[:, :2].amin(1) > 3 * weights[:, 2:].amax(1)).all()
        assert validation[-1]["recall"] - (1 - validation[-1]["sparsity"]) > 0.4


def test_causal_ragged_examples_fit_and_their_sparsity_counts_valid_pairs_only():
    options = FitOptions(epochs=1, margin=1e9, eval_examples=3)
    _, curves = fit_layer(0, planted(causal=True), planted(causal=True), LINEAR, options, seed=0)
    assert {row["sparsity"] for row in curves} == {0.0} and {row["recall"] for row in curves} == {1.0}


def flat(weights):
    return torch.cat([value.flatten() for side in weights for value in side.values()])


def test_the_same_seed_gives_the_same_bytes_and_layers_do_not_depend_on_each_other():
    def fit(layer, seed):
        return flat(fit_layer(layer, planted(), planted(3), LINEAR, FitOptions(epochs=2), seed)[0])

    first = fit(1, 7)
    torch.rand(3)
    fit(0, 7)
    assert torch.equal(first, fit(1, 7))
    assert not torch.equal(first, fit(1, 8)) and not torch.equal(first, fit(0, 7))


def test_accumulation_and_small_pieces_are_one_larger_batch(monkeypatch):
    # with every other key for a negative nothing is drawn that would depend on how a batch is cut
    monkeypatch.setattr(fitting, "sample_negatives", lambda support, valid, _: valid.unsqueeze(1) & ~support)
    plain = flat(fit_layer(0, planted(10), planted(3), LINEAR, FitOptions(epochs=2, batch_size=6), 0)[0])
    split = FitOptions(epochs=2, batch_size=2, accumulation=3)
    torch.testing.assert_close(flat(fit_layer(0, planted(10), planted(3), LINEAR, split, 0)[0]), plain)
    monkeypatch.setitem(batches.PAIRS_AT_ONCE, "cpu", 500)
    assert len(list(planted(10).batches(0, range(10), 6))) > 2
    pieces = FitOptions(epochs=2, batch_size=6)
    torch.testing.assert_close(flat(fit_layer(0, planted(10), planted(3), LINEAR, pieces, 0)[0]), plain)


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        (FitOptions(epochs=2, batch_size=4), 6),
        (FitOptions(epochs=2, batch_size=4, accumulation=2), 4),
        (FitOptions(epochs=2, batch_size=4, max_steps=5), 5),
        (FitOptions(epochs=3, batch_size=100), 3),
    ],
    ids=["batches", "accumulation with a rest", "capped", "one batch"],
)
def test_steps_and_points_of_the_curves(options, steps):
    ticks = []
    options = FitOptions(**{**vars(options), "eval_steps": 2, "eval_examples": 2})
    _, curves = fit_layer(3, planted(11), planted(3), LINEAR, options, 0, lambda: ticks.append(1))
    assert len(ticks) == steps == options.steps(11)
    points = sorted({0, steps, *range(0, steps + 1, 2)})
    assert [(row["layer"], row["step"], row["split"]) for row in curves] == [
        (3, step, split) for step in points for split in ("train", "validation")
    ]


def test_a_shared_parameter_is_updated_once_a_step():
    # Adam's first step moves every weight that has a gradient by the learning rate, not by twice as much
    options = FitOptions(epochs=1, batch_size=100, learning_rate=0.01)
    after = fit_layer(0, planted(4), planted(2), LINEAR, options, 0)[0][0]["w"]
    still = FitOptions(epochs=1, batch_size=100, learning_rate=0.0)
    before = fit_layer(0, planted(4), planted(2), LINEAR, still, 0)[0][0]["w"]
    assert (after - before).abs().max() == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_the_bias_that_no_distance_depends_on_stays_zero(kind):
    setting = ProjectionSetting(kind, 2, True, 3 if kind == "mlp" else None)
    (weights, _), _ = fit_layer(0, planted(4), planted(2), setting, FitOptions(epochs=2), 0)
    *inner, last = [value for name, value in weights.items() if name.startswith("b")]
    assert not last.any() and all(bias.all() for bias in inner)
    separate = ProjectionSetting(kind, 2, False, setting.hidden)
    (weights, _), _ = fit_layer(0, planted(4), planted(2), separate, FitOptions(epochs=2), 0)
    assert all(value.all() for name, value in weights.items() if name.startswith("b"))


def test_options_leave_out_what_is_not_about_fitting():
    assert FitOptions.of({"source": None, "epochs": 9, "margin": 2.0}) == FitOptions(epochs=9, margin=2.0)
