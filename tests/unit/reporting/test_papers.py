"""The report cites the papers of the predictors that were run."""

import pandas as pd

from sparse_attention.reporting.papers import papers


def test_each_paper_is_cited_once_with_its_predictors_in_the_order_of_the_table():
    names = ["kmeans", "quest", "cos", "calibrated", "window", "mine", "kmeans"]
    table = pd.DataFrame({"predictor": names, "label": [name.upper() for name in names]})
    (first, of_first), (second, of_second) = papers(table)
    assert "Predicting Attention Sparsity in Transformers" in first and of_first == "KMEANS and COS"
    assert second.startswith("Tang et al. Quest") and of_second == "QUEST"


def test_without_a_table_there_are_none():
    assert papers(None) == []
