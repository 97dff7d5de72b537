"""A run has the figures whose tables it has."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sparse_attention.errors import InputError
from sparse_attention.plotting import planned as module
from sparse_attention.plotting.planned import CONDITIONS, planned, setting_of
from sparse_attention.plotting.registry import discover

ALL = {table for info in discover().values() for table in info.needs}
ONE = {"mode": "threshold", "final": 0.1}
CONFIG = {
    "corpus": "wiki",
    "model": "minilm",
    "code": "big-vul",
    "classifier": "longformer",
    "prunings": [ONE],
    "figures": {"window": 3, "keep": "cls", "heatmap": {"predictor": "cos", "sparsity": 0.9}},
    "map_attention": {"example": 0, "sparsity": 0.9},
}


def with_lambdas(*lambdas):
    return CONFIG | {"prunings": [ONE | {"lambda": list(lambdas)}]}


def test_a_figure_is_drawn_where_all_its_tables_are():
    assert planned(dict.fromkeys(ALL, False), CONFIG) == {}
    have = dict.fromkeys(ALL, False) | {"training": True, "gold_sparsity": True}
    assert list(planned(have, CONFIG)) == ["heatmap_gold"]
    assert list(planned(have | {"masked_lm": True}, CONFIG)) == ["training_curves", "heatmap_gold"]


def test_all_are_drawn_where_prunings_differ_in_lambda():
    have = dict.fromkeys(ALL, True)
    assert list(planned(have, with_lambdas(0.0, 0.1))) == list(discover())
    assert set(discover()) - set(planned(have, with_lambdas(0.1))) == {"pruning_strength"}


def test_a_figure_reads_the_settings_that_it_names_and_no_other():
    figures = discover()
    setting = setting_of(figures["pareto_recall"], CONFIG)
    assert setting == {"corpus": "wiki", "model": "minilm", "figures.window": 3, "figures.keep": "cls"}
    assert setting_of(figures["pruning_f1"], CONFIG) == {"corpus": "big-vul", "model": "longformer"}
    assert setting_of(figures["bucket_distances"], CONFIG)["figures.heatmap.sparsity"] == 0.9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"needs": ("gold",)}, r"figures\.heatmap_gold\.needs: 'gold' is not allowed; allowed: .*gold_sparsity"),
        ({"condition": "rain"}, rf"condition: 'rain' is not allowed; allowed: {next(iter(CONDITIONS))}"),
        ({"explored": ("gold", "layer", "recall", "all")}, r"explored: 'gold' is not allowed; allowed: predictors, "),
        ({"explored": ("pruning", "gflops", "f1")}, r"explored: 'f1' is not allowed; allowed: all, front, none"),
        ({"settings": ("figures.windw",)}, r"figures\.heatmap_gold: the configuration has no key figures\.windw"),
    ],
    ids=["table", "condition", "explored-table", "explored-line", "setting"],
)
def test_an_unknown_table_condition_or_setting_is_refused(changes, message, monkeypatch):
    figure = replace(discover()["heatmap_gold"], **changes)
    monkeypatch.setattr(module, "discover", lambda: {figure.name: figure})
    with pytest.raises(InputError, match=message):
        planned(dict.fromkeys(ALL, True), CONFIG)
