"""The best predictor of each head and layer against trying all of them."""

import numpy as np
import pandas as pd
import pytest

from sparse_attention.files.tables import read_table
from sparse_attention.summaries.fronts import hulls
from sparse_attention.summaries.heads import best_tables


@pytest.fixture(scope="module")
def published(tables_of_seeds):
    return read_table(tables_of_seeds / "predictors.tsv"), read_table(tables_of_seeds / "predictors_by_head.tsv")


def recall_at(rows, sparsity):
    x, y = (np.append(rows[name], end) for name, end in (("sparsity", [0, 1]), ("recall", [1, 0])))
    return hulls(x[None], y[None]).attainable(np.array([sparsity]))[0, 0]


@pytest.mark.parametrize("window", [0, 11])
def test_every_head_has_the_predictor_of_highest_recall(window, published):
    points, by_head = published
    table = best_tables(points, by_head, 0.9, window, "none")["best_by_head"]
    assert len(table) == 2 * 2 * 3 and set(table["window"]) == {window} and set(table["at_sparsity"]) == {0.9}
    for row in table.to_dict("records"):
        place = " and ".join(f"{name} == {row[name]!r}" for name in ("attention", "layer", "head", "window"))
        rows = by_head.query(f"{place} and predictor not in ('oracle', 'random')")
        recalls = {name: recall_at(own, 0.9) for name, own in rows.groupby("predictor")}
        second, best = sorted(recalls.values())[-2:]
        assert recalls[row["predictor"]] == pytest.approx(best) and row["recall"] == pytest.approx(best)
        assert recalls[row["second"]] == pytest.approx(second) and row["second_recall"] == pytest.approx(second)
        assert row["margin"] == pytest.approx(best - second)


def test_layers_are_judged_by_the_means_of_their_heads(published):
    points, by_head = published
    table = best_tables(points, by_head, 0.9, 0, "none")["best_by_layer"]
    assert len(table) == 2 * 2 and "head" not in table
    row = table.iloc[0]
    rows = by_head.query(f"attention == {row['attention']!r} and layer == 0 and window == 0")
    means = rows[rows["predictor"] == row["predictor"]].groupby("point")[["sparsity", "recall"]].mean()
    assert row["recall"] == pytest.approx(recall_at(means, 0.9)) and row["label"] == "Cosine distance"


def heads(*series):
    """One head's points: predictor, projection, sparsity, recall."""
    rows = [
        {"predictor": name, "projection": projection, "sparsity": sparsity, "recall": recall, "point": str(place)}
        for place, (name, projection, sparsity, recall) in enumerate(series)
    ]
    setting = {"attention": "entmax~1.5", "layer": 0, "head": 0, "window": 0, "keep": "none"}
    by_head = pd.DataFrame(rows).assign(**setting)
    bounds = by_head["predictor"].map({"oracle": "upper"})
    return by_head.assign(label=by_head["predictor"].str.upper(), bound=bounds), by_head


def test_the_second_is_another_predictor_and_never_a_bound():
    tables = best_tables(
        *heads(
            ("cos", "kind~none", 0.9, 0.7),
            ("cos", "kind~linear", 0.9, 0.8),
            ("l2", "kind~none", 0.9, 0.5),
            ("oracle", "kind~none", 0.9, 1.0),
        ),
        0.9, 0, "none",
    )  # fmt: skip
    row = tables["best_by_head"].iloc[0]
    assert (row["predictor"], row["label"], row["projection"]) == ("cos", "COS", "kind~linear")
    assert (row["second"], row["second_label"], row["second_projection"]) == ("l2", "L2", "kind~none")
    assert row["margin"] == pytest.approx(0.3)


def test_of_equal_predictors_the_first_is_best_and_one_alone_has_no_second():
    points = [("cos", "kind~none", 0.9, 0.7), ("l2", "kind~none", 0.9, 0.7)]
    row = best_tables(*heads(*points), 0.9, 0, "none")["best_by_head"].iloc[0]
    assert row["predictor"] == "cos" and row["margin"] == 0
    row = best_tables(*heads(points[1]), 0.9, 0, "none")["best_by_head"].iloc[0]
    assert row["predictor"] == "l2" and pd.isna(row["second"]) and pd.isna(row["margin"])


def test_points_that_are_all_sparser_or_all_denser_compare_too():
    row = best_tables(*heads(("cos", "kind~none", 0.98, 0.9), ("l2", "kind~none", 0.5, 1.0)), 0.9, 0, "none")
    first = row["best_by_head"].iloc[0]
    assert first["predictor"] == "cos" and first["recall"] > 0.9
    assert first["second_recall"] == pytest.approx(0.2)
