"""Correct evaluations pass; each violated invariant is reported with its file and rows."""

import shutil

import pandas as pd
import pytest

from sparse_attention.errors import InputError
from sparse_attention.files.tables import read_table, write_table
from sparse_attention.metrics.facts import support_metrics
from sparse_attention.summaries import invariants

SPARSITIES = [0.85, 0.9]


@pytest.fixture(scope="module")
def right(fabricate, tmp_path_factory):
    folder = tmp_path_factory.mktemp("right")
    return folder, *fabricate.evaluations(folder, keep=("cls", "none", "last", "cls+last"))


@pytest.fixture
def evaluated(right, fabricate, tmp_path):
    """Tables by head, tables by document, and what is known of each."""
    folder, paths, runs = right
    shutil.copytree(folder, tmp_path / "copy")
    paths = [path.replace(str(folder), str(tmp_path / "copy")) for path in paths]
    return paths, [fabricate.beside(path, "documents") for path in paths], runs


def check(evaluated):
    return invariants.check(*evaluated, SPARSITIES)


def change(evaluated, predictor, query, documents=False, **values):
    """Change the rows that fit `query` in the first table of a predictor; return its path."""
    paths, by_document, runs = evaluated
    place = next(place for place, run in enumerate(runs) if run["predictor"] == predictor)
    path = (by_document if documents else paths)[place]
    table = read_table(path)
    for name, value in values.items():
        rows = table.query(query).index
        table.loc[rows, name] = value(table.loc[rows]) if callable(value) else value
    write_table(table, path)
    return path


FIRST = "layer == 1 and head == 2 and point == 'threshold~0.6' and window == 0 and keep == 'none'"


def test_correct_evaluations_pass(evaluated):
    found = check(evaluated)
    assert (found["tables"], found["rows"]) == (5, 11 * 6 * 8) and found["above_oracle"] == []
    assert check(([], [], []))["tables"] == 0


@pytest.mark.parametrize("name", [name for name, metric in support_metrics().items() if metric.range == "from 0 to 1"])
@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan")], ids=["negative", "above 1", "missing"])
def test_shares_are_from_0_to_1(name, value, evaluated):
    path = change(evaluated, "cos", FIRST, **{name: value})
    with pytest.raises(InputError, match=f"{name} must be from 0 to 1") as error:
        check(evaluated)
    place = "layer 1, head 2, point threshold~0.6, window 0, keep none, grid token"
    assert f"{path}: {name} must be" in str(error.value) and f"{place}, {name} {value:g}" in str(error.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"edges": -1.0}, "edges must be at least 0; violated in: .* edges -1"),
        ({"computation_sparsity": 1.2}, "computation_sparsity must be at most 1; .* computation_sparsity 1.2"),
        ({"edges": 70000.0}, "edges must not fall as the window grows; .* before 70000, window before 0"),
        ({"best_recall": 0.5}, "recall must be at most best_recall, .* recall 0.6[0-9]*, best_recall 0.5"),
        ({"exactness": 1.0}, "recall must be 1 where every query is exact; .* exactness 1, recall 0.6"),
        ({"recall": 0.99}, "recall must not fall as the window grows; .* window 11, .* before 0.99, window before 0"),
        ({"mass_recall": 0.99}, "mass_recall must not fall as the window grows"),
        ({"exactness": 0.99}, "exactness must not fall as more tokens are kept; .* keep cls, .* keep before none"),
        ({"sparsity": 0.5}, "sparsity must not rise as the window grows; .* window before 0"),
        ({"sparsity": 0.51}, "sparsity must not rise as more tokens are kept"),
        ({"keep": "cls"}, "a row must not be repeated; .* keep cls, grid token"),
        (
            {"gold_sparsity": 0.9},
            "gold_sparsity must be that of the head in .* gold_sparsity 0.9, there 0.98",
        ),
        ({"recall": 0.62}, "recall of documents must average to that of heads; .* point threshold~0.6, window 0"),
    ],
    ids=lambda value: " ".join(f"{name} {number}" for name, number in value.items()) if isinstance(value, dict) else "",
)
def test_a_violated_invariant_is_reported(values, message, evaluated):
    path = change(evaluated, "cos", FIRST, **values)
    with pytest.raises(InputError, match=message) as error:
        check(evaluated)
    where = path.replace("/predictors/", "/documents/") if "documents" in message else path
    assert where in str(error.value)


def test_a_missing_cost_is_accepted(evaluated):
    change(evaluated, "cos", "layer >= 0", computation_sparsity=float("nan"))
    assert check(evaluated)["tables"] == 5


def test_means_of_any_compared_metric_are_checked(evaluated, monkeypatch):
    monkeypatch.setattr(invariants, "compared_metrics", lambda: ["edges", "computation_sparsity"])
    change(evaluated, "cos", "layer >= 0", computation_sparsity=float("nan"))
    change(evaluated, "cos", "examples > 0", documents=True, computation_sparsity=float("nan"))
    change(
        evaluated,
        "cos",
        "examples > 0",
        documents=True,
        edges=lambda rows: rows["edges"].map("{:.6g}".format).map(float),
    )
    assert check(evaluated)["tables"] == 5
    path = change(
        evaluated, "cos", "point == 'threshold~0.6'", documents=True, edges=lambda rows: rows["edges"] * 1.001
    )
    with pytest.raises(InputError, match="edges of documents must average to that of heads") as error:
        check(evaluated)
    assert path in str(error.value)


@pytest.mark.parametrize(
    ("predictor", "sparser", "denser", "setting"),
    [
        ("cos", "threshold~0.1", "threshold~0.6", "threshold"),
        ("oracle", "keys~2", "keys~32", "keys"),
        ("window", "width~11", "width~51", "width"),
        ("random", "sparsity~0.98", "sparsity~0.8", "sparsity"),
    ],
)
def test_a_support_that_contains_another_recalls_at_least_as_much(predictor, sparser, denser, setting, evaluated):
    query = f"layer == 0 and head == 1 and point == '{denser}' and window == 0 and keep == 'none'"
    path = change(evaluated, predictor, query, recall=0.01)
    with pytest.raises(InputError, match=f"recall must not fall along {setting}") as error:
        check(evaluated)
    assert (
        f"{path}: recall must not fall along {setting}; violated in: layer 0, head 1, point {denser}, window 0"
        in str(error.value)
    )
    assert f"grid token, recall 0.01, before 0.{'0' * (predictor == 'random')}" in str(error.value)
    assert f"point before {sparser}" in str(error.value)


def test_supports_of_other_settings_are_not_nested(evaluated):
    change(evaluated, "kmeans", "point == 'clusters~8_runs~1_top~1'", documents=True, recall=0.0)
    change(evaluated, "kmeans", "point == 'clusters~8_runs~1_top~1'", recall=0.0)
    assert check(evaluated)["tables"] == 5
    table = read_table(evaluated[0][0])
    several = pd.concat([table.assign(point=table["point"] + end, recall=value) for end, value in
                         (("_p~1", 0.9), ("_p~2", 0.3))])  # fmt: skip
    several.loc[several["point"] == "threshold~0.6_p~2", "recall"] = 0.2
    found = list(invariants.violations(several.reset_index(drop=True), ("threshold", True)))
    assert {row for broken in found for row in broken.rows["point"]} == {"threshold~0.6_p~2"}


def test_thresholds_per_head_have_no_order(evaluated):
    table = read_table(evaluated[0][0])
    lists = {"threshold~0.1": "threshold~[0.3, 0.1]", "threshold~0.6": "threshold~[0.1, 0.3]"}
    table = table.assign(point=table["point"].map(lists), recall=table["recall"] * (table["point"] == "threshold~0.1"))
    assert list(invariants.violations(table, ("threshold", True))) == []


def test_blocks_are_checked_too(evaluated):
    path = evaluated[0][0]
    table = read_table(path)
    blocks = table.assign(grid="block", recall=table["recall"].where(table["layer"] == 0, 1.5))
    write_table(pd.concat([table, blocks]), path)
    with pytest.raises(InputError, match="recall must be from 0 to 1; violated in: layer 1, .* grid block, recall 1.5"):
        check(evaluated)


def test_many_broken_rows_are_counted(evaluated):
    for predictor in ("cos", "kmeans", "window"):
        change(evaluated, predictor, "layer == 1", recall=2.0, precision=-1.0, exactness=3.0, mass_recall=-2.0)
    with pytest.raises(InputError) as error:
        check(evaluated)
    lines = str(error.value).splitlines()
    assert len(lines) == 1 + invariants.SHOWN + 1 and lines[-1].startswith("and ")
    # two points, two windows, four kept tokens, three heads of one layer
    assert lines[1].endswith("and 45 more rows")


def test_recall_above_the_oracle_is_reported_with_numbers(evaluated):
    paths, documents, runs = evaluated
    for files in (paths, documents):
        for path, run in zip(files, runs, strict=True):
            if run["predictor"] == "oracle":
                table = read_table(path)
                write_table(table.assign(recall=table["recall"] * 0.3), path)
    found = check(evaluated)["above_oracle"]
    assert {row["predictor"] for row in found} >= {"cos", "kmeans"} and "oracle" not in {r["predictor"] for r in found}
    assert [row["recall"] - row["oracle"] for row in found] == sorted(
        (row["recall"] - row["oracle"] for row in found), reverse=True
    )
    assert all(row["recall"] > row["oracle"] and row["at_sparsity"] in SPARSITIES for row in found)
