from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.cluster import KMeans

from sparse_attention.clusters import fitting as module
from sparse_attention.clusters.centroids import Centroids, check_centroids
from sparse_attention.clusters.fitting import (
    ClusterOptions,
    fit_clusters,
    label_agreement,
    layer_vectors,
    require_agreement,
)
from sparse_attention.errors import InputError
from sparse_attention.projections.model import Projections
from sparse_attention.projections.weights import ProjectionSetting, initial_weights
from sparse_attention.qk.shape import AttentionShape

HEADS, RUNS, CLUSTERS, DIM = 3, 2, 4, 3


def draws(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def centroids(layers: int = 2) -> Centroids:
    return Centroids(tuple(draws(HEADS, RUNS, CLUSTERS, DIM, seed=layer).double() for layer in range(layers)))


def plain_nearest(vector, candidates):
    """Sort by distance, then by index, in plain numbers."""
    distances = [sum((a - b) ** 2 for a, b in zip(vector, c, strict=True)) for c in candidates]
    return sorted(range(len(candidates)), key=lambda index: (distances[index], index))


@pytest.mark.parametrize("top", [1, 2, CLUSTERS])
def test_nearest_centroids_equal_plain_sorting(top):
    vectors = draws(HEADS, 9, DIM, seed=5)
    found = centroids().assign(1, vectors, top)
    assert found.shape == (HEADS, RUNS, 9, top) and found.dtype == torch.int64
    for head, run, i in np.ndindex(HEADS, RUNS, 9):
        plain = plain_nearest(vectors[head, i].double().tolist(), centroids().layer(1)[head, run].tolist())
        assert found[head, run, i].tolist() == plain[:top]


@pytest.mark.parametrize("top", [1, 2, 3])
def test_ties_go_to_the_lowest_index(top):
    corners = torch.tensor([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, -1.0]]).double().view(1, 1, 4, 2)
    found = Centroids((corners,)).assign(0, torch.zeros(1, 1, 2), top)
    assert found.flatten().tolist() == [1, 2, 3][:top]


def test_more_nearest_centroids_than_there_are_is_an_error():
    with pytest.raises(InputError, match=r"top: 5; allowed: 1 to the 4"):
        centroids().assign(0, draws(HEADS, 2, DIM), CLUSTERS + 1)


def test_fit_equals_scikit_learn_for_each_head_and_run():
    vectors = draws(HEADS, 200, DIM)
    found, rows = fit_clusters(
        vectors, CLUSTERS, RUNS, 3, ClusterOptions(max_iterations=50, initialisations=2), layer=4
    )
    assert found.shape == (HEADS, RUNS, CLUSTERS, DIM) and found.dtype == torch.float64
    assert [(row["layer"], row["head"], row["run"]) for row in rows] == [
        (4, h, r) for h in range(HEADS) for r in range(RUNS)
    ]
    for head in range(HEADS):
        points = vectors[head].double().numpy()
        first = KMeans(CLUSTERS, init="k-means++", n_init=2, max_iter=50, random_state=3).fit(points)
        second = KMeans(CLUSTERS, init="random", n_init=1, max_iter=50, random_state=4).fit(points)
        for run, means in enumerate((first, second)):
            np.testing.assert_allclose(found[head, run], means.cluster_centers_, rtol=1e-6)
            row = rows[RUNS * head + run]
            assert row["inertia"] == pytest.approx(means.inertia_) and row["vectors"] == 200


def test_heads_fitted_side_by_side_are_the_same():
    vectors = draws(HEADS, 500, DIM)
    (alone, rows), (beside, others) = (fit_clusters(vectors, 6, RUNS, seed=2, threads=threads) for threads in (1, 4))
    assert torch.equal(alone, beside) and rows == others


def test_a_head_does_not_depend_on_the_others():
    vectors = draws(HEADS, 300, DIM)
    whole, _ = fit_clusters(vectors, 5, RUNS, seed=1)
    for head in range(HEADS):
        assert torch.equal(fit_clusters(vectors[head : head + 1], 5, RUNS, seed=1)[0][0], whole[head])


def test_the_same_seed_gives_the_same_centroids():
    vectors = draws(1, 300, DIM)
    first, again, other = (fit_clusters(vectors, 8, 1, seed)[0] for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_centroids_fit_float32_so_that_the_original_layout_loses_nothing(tmp_path):
    found, _ = fit_clusters(draws(HEADS, 50, DIM), CLUSTERS, RUNS, seed=0)
    Centroids((found, found)).save_original(tmp_path / "c.pt")
    content = torch.load(tmp_path / "c.pt", weights_only=True)
    assert isinstance(content, list) and [value.shape for value in content] == [(HEADS, RUNS, CLUSTERS, DIM)] * 2
    assert content[0].dtype == torch.float32 and torch.equal(content[0].double(), found)


def test_float64_centroids_stay_float64_in_the_original_layout(tmp_path):
    centroids().save_original(tmp_path / "whole.pt")
    Centroids((torch.full((1, 1, 1, 1), 0.1, dtype=torch.float64),)).save_original(tmp_path / "c.pt")
    assert torch.load(tmp_path / "whole.pt")[0].dtype == torch.float32
    assert torch.load(tmp_path / "c.pt")[0].dtype == torch.float64


def test_both_formats_give_back_the_same_centroids_and_bytes(tmp_path):
    centroids(12).save(tmp_path / "c.safetensors")
    centroids(12).save_original(tmp_path / "c.pickle")
    for name in ("c.safetensors", "c.pickle"):
        loaded = Centroids.load(tmp_path / name)
        assert all(torch.equal(a, b) for a, b in zip(loaded.layers, centroids(12).layers, strict=True))
        loaded.save(tmp_path / "again.safetensors")
        assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "c.safetensors").read_bytes()


@pytest.mark.parametrize("distinct", [1, 3, CLUSTERS])
def test_fewer_distinct_vectors_than_clusters_name_the_numbers_and_the_key(distinct):
    vectors = draws(1, distinct, DIM).repeat(1, 40, 1)
    if distinct == CLUSTERS:
        found, _ = fit_clusters(vectors, CLUSTERS, 1, seed=0)
        assert len(found[0, 0].unique(dim=0)) == CLUSTERS
        return
    with pytest.raises(InputError) as caught:
        fit_clusters(vectors, CLUSTERS, 1, seed=0, layer=2)
    for part in ("predictors.kmeans.clusters: 4", "layer 2, head 0", f"{distinct} distinct", f"among {40 * distinct}"):
        assert part in str(caught.value)


def test_vectors_that_differ_only_late_are_enough():
    vectors = torch.cat([torch.zeros(1, 500, DIM), draws(1, CLUSTERS - 1, DIM)], 1)
    assert fit_clusters(vectors, CLUSTERS, 1, seed=0)[0].shape == (1, 1, CLUSTERS, DIM)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4], ids=lambda scale: f"scale {scale:g}")
@pytest.mark.parametrize("dim", [1, 4, 64])
def test_scikit_learn_and_torch_agree(scale, dim):
    vectors = scale * (5 + draws(HEADS, 500, dim))
    found, _ = fit_clusters(vectors, 8, RUNS, seed=0)
    rows = label_agreement(vectors, found)
    assert [(row["head"], row["run"]) for row in rows] == [(head, run) for head in range(HEADS) for run in range(RUNS)]
    assert all(row["vectors"] == 500 and row["mismatches"] == 0 for row in rows)
    require_agreement([{"layer": 0} | row for row in rows])


@pytest.mark.parametrize("offset", [0.0, 0.1, 1e3])
def test_vectors_between_two_centroids_are_ties_and_no_mismatch(offset):
    grid = torch.arange(-8, 9).double() / 10 + offset
    vectors = torch.cartesian_prod(grid, grid).unsqueeze(0)
    found = torch.tensor([[-0.5, 0.0], [0.5, 0.0], [0.0, 0.5], [0.0, -0.5]]).double().view(1, 1, 4, 2) + offset
    (row,) = label_agreement(vectors, found)
    assert row["mismatches"] == 0 and row["vectors"] == 17**2


def test_duplicate_centroids_agree():
    found = torch.ones(1, 1, CLUSTERS, DIM, dtype=torch.float64)
    assert label_agreement(draws(1, 20, DIM), found)[0]["mismatches"] == 0


def test_mismatches_are_counted_and_fail_with_their_place(monkeypatch):
    right = module._sklearn_labels

    def wrong(points, found):
        return (right(points, found) + torch.from_numpy(points[:, 0] > 0.5)) % len(found)

    monkeypatch.setattr(module, "_sklearn_labels", wrong)
    vectors = draws(HEADS, 100, DIM)
    rows = [{"layer": 1} | row for row in label_agreement(vectors, centroids().layer(0))]
    assert [row["mismatches"] for row in rows[::RUNS]] == (vectors[..., 0] > 0.5).sum(1).tolist()
    total = sum(row["mismatches"] for row in rows)
    with pytest.raises(InputError, match=rf"disagree on {total} of 600 validation vectors, most in layer 1, head"):
        require_agreement(rows)


def reader_of(*lengths):
    """Store examples of so many queries and keys."""
    examples = [
        SimpleNamespace(queries=draws(HEADS, n, DIM, seed=n), keys=draws(HEADS, m, DIM, seed=m + 50))
        for n, m in lengths
    ]
    return SimpleNamespace(examples=lambda layer: examples), examples


@pytest.mark.parametrize("size", [1, 2, 3, 8], ids=lambda size: f"blocks of {size}")
@pytest.mark.parametrize("projected", [True, False], ids=["projected", "not projected"])
def test_layer_vectors_are_the_blocks_of_every_examples_queries_and_keys(projected, size):
    setting = ProjectionSetting("linear", 2, True, block_size=size)
    weights = initial_weights(setting, HEADS, DIM, torch.Generator().manual_seed(0))
    projections = Projections.of([(weights, weights)], block_size=size) if projected else Projections.identity()
    reader, examples = reader_of((4, 2), (1, 5))
    found = layer_vectors(reader, projections, 0, size)
    rows = [[] for _ in range(HEADS)]
    for side in [side for example in examples for side in (example.queries, example.keys)]:
        low = side @ weights["w"] + weights["b"] if projected else side
        for head in range(HEADS):
            for first in range(0, low.shape[1], size):
                tokens = list(low[head, first : first + size])
                tokens += [torch.zeros_like(tokens[0])] * (size - len(tokens))
                rows[head].append(torch.cat(tokens))
    torch.testing.assert_close(found, torch.stack([torch.stack(head) for head in rows]))


@pytest.mark.parametrize("size", [1, 2], ids=lambda size: f"blocks of {size}")
def test_layer_vectors_of_joint_projections_come_once(size):
    setting = ProjectionSetting("linear", 2, True, block_size=size, concat=True)
    weights = initial_weights(setting, HEADS, DIM, torch.Generator().manual_seed(0))
    projections = Projections.of([(weights, weights)], block_size=size, concat=True)
    reader, examples = reader_of((4, 4), (6, 6))
    joint = [torch.cat([example.queries, example.keys], -1) @ weights["w"] + weights["b"] for example in examples]
    expected = torch.cat(joint, 1).reshape(HEADS, 10 // size, 2 * size)  # both lengths are whole blocks
    torch.testing.assert_close(layer_vectors(reader, projections, 0, size), expected)


GOOD = torch.ones(HEADS, RUNS, CLUSTERS, DIM)
BAD = {
    "a mapping": ({"centroids": GOOD}, "list over layers"),
    "no layers": ([], "list over layers"),
    "three dimensions": ([GOOD[0]], "heads, runs, clusters, dim"),
    "whole numbers": ([GOOD.long()], "floating-point"),
    "a number": ([1.0], "float"),
    "layers that differ": ([GOOD, GOOD[:2]], "layer 1"),
    "empty": ([GOOD[:0]], "without empty axes"),
    "NaN": ([GOOD, GOOD * torch.nan], "layer 1: holds NaN"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_original_files_are_refused(tmp_path, name):
    content, message = BAD[name]
    torch.save(content, tmp_path / "bad.pickle")
    with pytest.raises(InputError, match=message) as caught:
        Centroids.load(tmp_path / "bad.pickle")
    assert "bad.pickle" in str(caught.value)


def test_layers_that_are_views_of_one_tensor_come_in_and_go_out(tmp_path):
    torch.save(list(GOOD.expand(3, *GOOD.shape)), tmp_path / "views.pt")
    Centroids.load(tmp_path / "views.pt").save(tmp_path / "c.safetensors")
    assert len(Centroids.load(tmp_path / "c.safetensors").layers) == 3


def test_safetensors_with_a_missing_layer_are_refused(tmp_path):
    save_file({"layer~1": GOOD}, tmp_path / "c.safetensors")
    with pytest.raises(InputError, match="c.safetensors"):
        Centroids.load(tmp_path / "c.safetensors")


def test_centroids_of_another_setting_or_model_are_refused_with_every_difference():
    shape = AttentionShape(2, HEADS, DIM)
    check_centroids(centroids(), Projections.identity(), shape, CLUSTERS, RUNS, "c.pt")
    with pytest.raises(InputError, match="dim is 3, must be 6"):
        check_centroids(centroids(), Projections.identity(), shape, CLUSTERS, RUNS, "c.pt", block_size=2)
    halves = AttentionShape(2, HEADS, 1)
    check_centroids(centroids(), Projections.identity(), halves, CLUSTERS, RUNS, "c.pt", block_size=3)
    weights = initial_weights(ProjectionSetting("linear", 7, True), 5, 9, torch.Generator())
    other = AttentionShape(1, 5, 9, where="the model in m")
    with pytest.raises(InputError) as caught:
        check_centroids(centroids(), Projections.of([(weights, weights)]), other, 8, 1, "c.pt")
    for part in ("c.pt", "layers is 2, must be 1; heads is 3, must be 5, as in the model in m;",
                 "clusters is 4, must be 8", "runs is 2, must be 1", "dim is 3, must be 7"):  # fmt: skip
        assert part in str(caught.value)


def test_files_of_one_layer_each_are_read_in_order(tmp_path):
    files = [tmp_path / name for name in ("b.pt", "a.pt", "c.safetensors")]
    whole = centroids(3)
    for layer, path in enumerate(files):
        single = Centroids((whole.layer(layer),))
        single.save(path) if path.suffix == ".safetensors" else single.save_original(path)
    found = Centroids.load_files(files)
    assert all(torch.equal(a, b) for a, b in zip(found.layers, whole.layers, strict=True))
    assert len(Centroids.load_files([files[0]]).layers) == 1


def test_files_that_are_not_one_layer_each_or_differ_are_refused(tmp_path):
    centroids(2).save_original(tmp_path / "two.pt")
    Centroids((centroids().layer(0)[:, :, :2],)).save_original(tmp_path / "few.pt")
    Centroids((centroids().layer(0),)).save_original(tmp_path / "one.pt")
    with pytest.raises(InputError, match=r"two\.pt: holds 2 layers"):
        Centroids.load_files([tmp_path / "one.pt", tmp_path / "two.pt"])
    with pytest.raises(InputError, match=r"few\.pt: shape .*allowed: one shape"):
        Centroids.load_files([tmp_path / "one.pt", tmp_path / "few.pt"])
