from __future__ import annotations

from types import SimpleNamespace

import pytest

import measure_deviations
from sparse_attention.deviations import COLUMNS
from sparse_attention.errors import InputError
from sparse_attention.files.tables import read_table
from sparse_attention.jobs.file_lists import FileList

OPTIONS = {"source": None, "distance": "l2", "margin": 1.0, "learning_rate": 0.01, "weight_decay": 0.0, "epochs": 1,
           "max_steps": None, "batch_size": 2, "accumulation": 1, "max_grad_norm": 1.0, "eval_steps": 4,
           "eval_examples": 2}  # fmt: skip


def measured(stores, output, seed=1, layers=2, train=3, **paths):
    inputs = {
        f"{kind}_{split}": str(stores / kind / split) for kind in ("qk", "gold") for split in ("train", "validation")
    }
    examples = {"train": train, "validation": 2}
    params = {"threads": 1, "layers": layers, "examples": examples, "options": OPTIONS, "seed": seed}
    measure_deviations.main(
        SimpleNamespace(
            input=SimpleNamespace(**inputs | paths),
            output=SimpleNamespace(table=str(output)),
            params=SimpleNamespace(**params),
        )
    )
    return read_table(output, COLUMNS)


@pytest.fixture(scope="module")
def by_seed(small_stores, tmp_path_factory):
    """The tables of one layer for two seeds: their paths and contents."""
    folder = tmp_path_factory.mktemp("deviations")
    paths = [folder / f"{seed}.tsv" for seed in (1, 2)]
    return paths, [measured(small_stores, path, seed, layers=1) for seed, path in enumerate(paths, 1)]


def test_a_row_for_each_quirk_subject_and_metric(small_stores, by_seed, tmp_path):
    table = measured(small_stores, tmp_path / "first.tsv")
    assert list(table.columns) == list(COLUMNS)
    assert (table["layers"] == 2).all() and (table["examples"] == 2).all()
    assert {"another_seed", "doubled_updates", "rank_matched_clusters", "computation_sparsity"} <= set(table["quirk"])
    one = by_seed[1][0]
    assert (one["layers"] == 1).all() and len(one) == len(table)
    # too few batches for one to be left over
    two = measured(small_stores, tmp_path / "two.tsv", layers=1, train=2)
    assert set(table["quirk"]) - set(two["quirk"]) <= {"spilled_gradients"}


def test_means_over_seeds(by_seed, fabricate, tmp_path):
    paths, tables = by_seed
    runs = [{"attention": "entmax~1.5", "seed": seed} for seed in (1, 2)]
    files = {"deviations": FileList([str(path) for path in paths], runs)}
    output = fabricate.make_table(tmp_path / "deviations.tsv", {}, files)
    table = read_table(output)
    assert list(table.columns[:7]) == ["attention", "quirk", "subject", "metric", "seeds", "layers", "examples"]
    assert len(table) == len(tables[0]) and (table["seeds"] == 2).all()
    mean = (tables[0]["as_published"] + tables[1]["as_published"]) / 2
    assert table["as_published"].to_numpy() == pytest.approx(mean.to_numpy(), rel=1e-4, abs=1e-6)
    assert table["difference_ci95"].notna().all()


def test_a_missing_store_is_told_and_leaves_no_table(small_stores, tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        measured(small_stores, tmp_path / "table.tsv", qk_validation=str(tmp_path / "nowhere"))
    assert list(tmp_path.iterdir()) == []
