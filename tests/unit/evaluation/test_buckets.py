"""How buckets are filled and what shares them, against counting one by one."""

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from sparse_attention.attention.supports import Buckets
from sparse_attention.clusters.centroids import Centroids
from sparse_attention.errors import InputError
from sparse_attention.evaluation.buckets import BINS, FILLING, analyse, common_buckets, distance_bins, fillings
from sparse_attention.evaluation.examples import Split
from sparse_attention.evaluation.sweep import point_name
from sparse_attention.predictors.base import Context
from sparse_attention.predictors.registry import create
from sparse_attention.projections.model import Projections
from sparse_attention.projections.weights import ProjectionSetting, initial_weights
from sparse_attention.qk.gold import GoldWriter, gold_of
from sparse_attention.qk.store import QKInfo, QKReader, QKWriter
from sparse_attention.settings.grids import product

HEADS, LAYERS = 3, 2


def random_buckets(seed, heads=HEADS, count=17, size=5, tables=3, lists=2, none=0.2):
    """In each table `lists` different buckets of each vector, some of them none: `(heads, count, tables · lists)`."""
    rng = np.random.default_rng(seed)
    drawn = np.argsort(rng.random((heads, count, tables, size)), axis=-1)[..., :lists]
    drawn = drawn + np.arange(tables)[:, None] * size
    return np.where(rng.random(drawn.shape) < none, -1, drawn).reshape(heads, count, -1)


def counted(vectors, size, tables):
    """The measures of one head, table by table, from lists of members."""
    rows = []
    for table in range(tables):
        own = range(table * size, (table + 1) * size)
        members = [[place for place, buckets in enumerate(vectors) if bucket in buckets] for bucket in own]
        total = sum(map(len, members))
        shares = [len(inside) / total for inside in members] if total else []
        entropy = -sum(share * math.log(share, size) for share in shares if share) if size > 1 and total else math.nan
        inside = {place for places in members for place in places}
        largest = max(shares, default=math.nan)
        empty = sum(not places for places in members) / size
        rows.append([size, entropy, largest, empty, largest * size, 1 - len(inside) / len(vectors)])
    frame = pd.DataFrame(rows)
    return frame.mean().to_numpy()


@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"tables": 1, "lists": 1, "none": 0},
        {"size": 40, "tables": 2, "lists": 3},
        {"size": 1, "tables": 1, "lists": 1},
        {"count": 1, "none": 0.5},
        {"none": 1.0},
        {"size": 4, "tables": 4, "lists": 1, "none": 0.9},
    ],
    ids=["several tables", "one each", "many empty", "one bucket", "one vector", "none at all", "some tables empty"],
)
def test_filling_is_counted(shape):
    for seed in range(5):
        vectors = random_buckets(seed, **shape)
        size, tables = shape.get("size", 5), shape.get("tables", 3)
        found = fillings(vectors, size, tables)
        assert found.shape == (HEADS, len(FILLING))
        for head in range(HEADS):
            np.testing.assert_allclose(found[head], counted(vectors[head].tolist(), size, tables), atol=1e-12)


def test_even_buckets_have_entropy_and_balance_1_and_a_full_one_entropy_0():
    even, full = np.arange(12).reshape(1, 12, 1) % 4, np.zeros((1, 12, 1), dtype=int)
    assert dict(zip(FILLING, fillings(even, 4, 1)[0], strict=True)) == pytest.approx(
        {"buckets": 4, "entropy": 1, "largest_share": 0.25, "empty_share": 0, "balance": 1, "outside_share": 0}
    )
    assert dict(zip(FILLING, fillings(full, 4, 1)[0], strict=True)) == pytest.approx(
        {"buckets": 4, "entropy": 0, "largest_share": 1, "empty_share": 0.75, "balance": 4, "outside_share": 0}
    )


@pytest.mark.parametrize("none", [0, 0.4, 1])
def test_common_buckets_are_intersections(none):
    queries, keys = random_buckets(1, count=6, none=none)[0], random_buckets(2, count=9, none=none)[0]
    found = common_buckets(queries, keys)
    for row, column in np.ndindex(6, 9):
        assert found[row, column] == len((set(queries[row]) & set(keys[column])) - {-1})


def test_what_shares_enough_buckets_is_the_support():
    queries, keys = random_buckets(1), random_buckets(2, count=23)
    for at_least in (1, 2, 3):
        pairs = Buckets(torch.from_numpy(queries), torch.from_numpy(keys), 5, 3, at_least).pairs().numpy()
        for head in range(HEADS):
            np.testing.assert_array_equal(common_buckets(queries[head], keys[head]) >= at_least, pairs[head])


@pytest.mark.parametrize("scale", [1e-3, 0.5, 1e3], ids=["near", "about 1", "far"])
def test_a_distance_lies_in_the_bin_that_its_name_says(scale):
    generator = torch.Generator().manual_seed(0)
    queries, keys = (scale * torch.randn(2, n, 3, generator=generator) for n in (11, 7))
    keys[0, 0] = queries[0, 0]
    queries[0, 1], keys[0, 1] = torch.tensor([1.0, 0, 0]), torch.tensor([1.0, 2.0, 0])
    bins = distance_bins(SimpleNamespace(queries=queries, keys=keys))
    for place in np.ndindex(bins.shape):
        squared = float((queries[place[0], place[1]].double() - keys[place[0], place[2]].double()).square().sum())
        name = BINS[bins[place]]
        low, high = (float(name[1:]), math.inf) if name[0] == ">" else map(float, name.split("-"))
        assert low < squared <= high or (low == squared == 0)
    assert BINS[bins[0, 1, 1]] == "2-4"


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Ragged, causal queries and keys with fewer queries than keys in one example."""
    folder, lengths = tmp_path_factory.mktemp("stores"), (12, 7, 9, 5)
    generator = torch.Generator().manual_seed(0)
    info = QKInfo(LAYERS, HEADS, 6, lengths, (12, 9, 9, 5), tuple("abcd"), causal=True)
    with QKWriter(folder / "qk", info) as writer:
        for layer in range(LAYERS):
            for index, counts in enumerate(zip(info.query_lengths, info.key_lengths, strict=True)):
                writer.write(layer, index, *(torch.randn(HEADS, n, 6, generator=generator) for n in counts))
    reader = QKReader(folder / "qk")
    with GoldWriter(folder / "gold", reader.info) as writer:
        for layer in range(LAYERS):
            for example in reader.examples(layer):
                writer.write(layer, example, gold_of(example, 1.5))
    return folder


def projections():
    generator = torch.Generator().manual_seed(1)
    weights = [initial_weights(ProjectionSetting("linear", 2, True), HEADS, 6, generator) for _ in range(LAYERS)]
    return Projections.of([(both, both) for both in weights])


CASES = {
    "fixed": ({"bucket_size": [2, 4]}, {}),
    "dynamic": ({"bucket_size": [3], "temperature": [0.5, 2.0]}, {}),
    "kmeans": ({"top": [1, 2]}, {"clusters": 3, "runs": 2}),
}


def made(name, fixed):
    centroids = torch.randn(HEADS, 2, 3, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return create(name, Context(1, fixed, Centroids((centroids, -centroids))))


@pytest.mark.parametrize(
    ("name", "block_size"), [("fixed", 1), ("fixed", 2), ("dynamic", 1), ("dynamic", 2), ("kmeans", 1)]
)
def test_tables_are_what_counting_gives(name, block_size, stores):
    grid, fixed = CASES[name]
    split, predictor, most = Split(stores / "qk", stores / "gold", projections(), block_size), made(name, fixed), 3
    found = analyse(predictor, split, grid, most)
    points = [point_name(predictor, point) for point in product(grid)]
    assert len(points) == 2 and list(found.buckets["point"].unique()) == points
    assert len(found.buckets) == LAYERS * HEADS * 2 * 2 and set(found.buckets["examples"]) == {most}
    last, pairs, filling = product(grid)[-1], {}, []
    for features, gold in itertools.islice(split.layer(1), most):
        buckets, bins = predictor.buckets(predictor.prepare(features), **last), distance_bins(features)
        filling.append(counted(buckets.keys[2].tolist(), buckets.size, buckets.tables))
        for head, query, key in np.ndindex(*features.shape):
            if features.valid[query, key]:
                shared = len(set(buckets.queries[head, query].tolist()) & set(buckets.keys[head, key].tolist()))
                cell = pairs.setdefault((BINS[bins[head, query, key]], shared), [0, 0])
                cell[0] += 1
                cell[1] += bool(gold.support[head, query, key])
    rows = found.common[(found.common["layer"] == 1) & (found.common["point"] == points[1])]
    told = {(row["distance_bin"], row["common"]): [row["pairs"], row["gold_pairs"]] for row in rows.to_dict("records")}
    assert told.keys() == pairs.keys()
    for cell, counts in pairs.items():
        assert told[cell] == pytest.approx([count / (HEADS * most) for count in counts])
    chosen = found.buckets.query(f"layer == 1 and head == 2 and side == 'keys' and point == {points[1]!r}")
    np.testing.assert_allclose(chosen[list(FILLING)].to_numpy()[0], np.mean(filling, axis=0))


def test_no_more_examples_are_looked_at_than_there_are(stores):
    split = Split(stores / "qk", stores / "gold", projections())
    found = analyse(made("fixed", {}), split, {"bucket_size": 2}, 100)
    assert set(found.buckets["examples"]) == {4}
    valid = sum(int(split.info.valid(0, index).sum()) for index in range(4))
    assert found.common.query("layer == 0")["pairs"].sum() == pytest.approx(valid / 4)


def test_what_learns_needs_the_train_split(stores):
    class Learner(type(made("fixed", {}))):
        fits = True
        fitted_layers = ()

        def fit(self, layer, training):
            self.fitted_layers += ((layer, len(training)),)

    split, learner = Split(stores / "qk", stores / "gold", projections()), Learner(Context())
    analyse(learner, split, {"bucket_size": 2}, 1, training=split)
    assert learner.fitted_layers == ((0, 4), (1, 4))
    with pytest.raises(InputError, match="predictors.fixed: there is no train split"):
        analyse(learner, split, {"bucket_size": 2}, 1)
