"""The points that readers explore are those of the tables, with all their settings."""

from dataclasses import replace

import numpy as np
import pytest

from pruning_tables import quality
from sparse_attention.files.tables import read_table
from sparse_attention.plotting import registry
from sparse_attention.plotting.planned import EXPLORED, JOINED
from sparse_attention.plotting.predictor_styles import STYLES
from sparse_attention.plotting.pruning import MARKERS, SYSTEMS
from sparse_attention.plotting.registry import discover
from sparse_attention.reporting.curves import SYMBOLS, WAYS
from sparse_attention.reporting.exploring import explored, plotting_library
from sparse_attention.reporting.inputs import Setting
from sparse_attention.summaries.wording import spell_pruning

FIGURES = ("pareto_recall", "pareto_computation", "heatmap_gold")
LANGUAGE_MODEL = ("sparse_mlm_perplexity", "sparse_mlm_increase")
PRUNING = ("pruning_f1", "pruning_roc_auc")
TWO = ("mode~threshold_final~0.005", "mode~topk_final~0.3")


def show(figures, window=0, keep="none", **tables):
    return explored(tables.get, figures, Setting(window, keep, 0.95))


@pytest.fixture(scope="module")
def points(tables):
    return read_table(tables / "predictors.tsv")


@pytest.fixture(scope="module")
def language_model(tables):
    return read_table(tables / "sparse_mlm.tsv")


@pytest.mark.parametrize("name", [name for name, info in discover().items() if info.explored])
def test_a_figure_declares_what_can_be_explored(name):
    figure = discover()[name]
    table, x, y, joined = figure.explored
    assert table in figure.needs and table in EXPLORED and joined in JOINED and x != y


def test_every_table_that_may_be_explored_has_a_way():
    assert (
        tuple(WAYS)
        == EXPLORED
        == tuple(dict.fromkeys(info.explored[0] for info in discover().values() if info.explored))
    )


def test_each_curve_holds_its_points(points):
    found = show(FIGURES, predictors=points)
    assert list(found["figures"]) == ["pareto_recall", "pareto_computation"] and list(found["curves"]) == ["predictors"]
    assert found["figures"]["pareto_computation"] == {
        "curves": "predictors", "also": [], "line": "front", "levels": [],
        "x": {"column": "computation_sparsity", "title": "Computation sparsity", "words": "computation sparsity",
              "scale": "left"},
        "y": {"column": "recall", "title": "Recall", "words": "recall", "scale": "share"},
    }  # fmt: skip
    curves = {curve["name"]: curve for curve in found["curves"]["predictors"]}
    assert list(curves) == list(points["label"].unique())
    kmeans, rows = curves["K-means clusters"], points[(points["predictor"] == "kmeans") & (points["window"] == 0)]
    order = np.argsort(kmeans["values"]["sparsity"], kind="stable")
    assert kmeans["settings"][order[0]] == "clusters 4, runs 1, top 1; linear, dim 4, shared"
    assert kmeans["values"]["sparsity"] == [round(value, 5) for value in rows["sparsity"]]
    # the leftmost point keeps more pairs and recalls less
    assert [kmeans["fronts"]["pareto_recall"][place] for place in order] == [False, True, True]
    assert curves["Window"]["dashed"] and not kmeans["dashed"]


def test_windows_and_kept_tokens_are_named(points):
    rows = points.assign(keep="cls")
    assert show(FIGURES, keep="cls", predictors=points) == {}
    curve = show(FIGURES, 11, "cls", predictors=rows)["curves"]["predictors"][2]
    assert "width 51; window 11; first token kept" in curve["settings"]


def test_several_attentions_are_told_apart(tables_of_seeds):
    found = show(FIGURES, predictors=read_table(tables_of_seeds / "predictors.tsv"))
    curves = found["curves"]["predictors"]
    names = [curve["name"] for curve in curves]
    assert len(names) == len(set(names)) and {"Window (entmax 1.5)", "Window (entmax 2)"} <= set(names)
    low, high = curves[0]["intervals"]["recall"]
    assert all(
        ends[0] <= value <= ends[1] for *ends, value in zip(low, high, curves[0]["values"]["recall"], strict=True)
    )


def test_missing_values_are_no_points(points):
    rows = points.assign(computation_sparsity=float("nan"))
    curve = show(FIGURES, predictors=rows)["curves"]["predictors"][0]
    assert set(curve["values"]["computation_sparsity"]) == {None} and not any(curve["fronts"]["pareto_computation"])


@pytest.mark.parametrize("figures", [(), ("heatmap_gold",)], ids=["none", "others"])
def test_without_figures_of_points_there_is_nothing_to_explore(figures, points):
    assert show(figures, predictors=points) == {} and show(FIGURES) == {}


def test_a_table_of_an_older_archive_may_lack_a_column(points):
    found = show(FIGURES, predictors=points.drop(columns="computation_sparsity"))
    assert list(found["figures"]) == ["pareto_recall"]


def test_a_figure_of_a_metric_that_is_no_share_shows_numbers(points, monkeypatch):
    figure = replace(discover()["pareto_recall"], explored=("predictors", "sparsity", "edges", "all"))
    monkeypatch.setattr(registry, "discover", lambda: {"mine": figure})
    axis = show(["mine"], predictors=points)["figures"]["mine"]["y"]
    assert (axis["column"], axis["scale"]) == ("edges", "number")


def test_every_point_of_the_language_model_is_on_one_curve(language_model):
    found = show(LANGUAGE_MODEL, sparse_mlm=language_model)
    rows = language_model[language_model["predictor"] != "full"]
    curves = found["curves"]["sparse_mlm"]
    names = [curve["name"] for curve in curves]
    assert len(names) == len(set(names))
    for column in ("sparsity", "perplexity", "mass_recall", "loss_increase", "loss"):
        values = [value for curve in curves for value in curve["values"][column]]
        assert sorted(values) == sorted(round(value, 5) for value in rows[column]), column
    assert [figure["line"] for figure in found["figures"].values()] == ["all", "none"]
    assert {curve["symbol"] for curve in curves if "further step" in curve["name"]} == {"star"}
    open_ones = [curve["symbol"] for curve in curves if "queries without keys see all keys" in curve["name"]]
    assert open_ones and all(symbol.endswith("-open") for symbol in open_ones)


def test_what_is_said_beside_the_axes_differs_by_figure(language_model):
    figures = show(LANGUAGE_MODEL, sparse_mlm=language_model)["figures"]
    said = {name: [axis["column"] for axis in own["also"]] for name, own in figures.items()}
    assert said == {
        "sparse_mlm_perplexity": ["loss", "loss_increase"],
        "sparse_mlm_increase": ["sparsity", "loss", "perplexity"],
    }
    assert figures["sparse_mlm_increase"]["y"]["scale"] == "nats"


def test_full_attention_is_a_level(language_model):
    figures = show(LANGUAGE_MODEL, sparse_mlm=language_model)["figures"]
    full = language_model[(language_model["predictor"] == "full") & (language_model["finetuned"] == 0)]
    assert figures["sparse_mlm_increase"]["levels"] == [{"name": "full attention, entmax 1.5", "value": 0.0}]
    levels = figures["sparse_mlm_perplexity"]["levels"]
    assert [level["value"] for level in levels] == [round(value, 5) for value in full["perplexity"]]
    assert [level["name"] for level in levels] == ["full attention, entmax 1.5", "full attention, softmax"]


def test_each_system_of_a_pruning_is_a_curve():
    table = quality(TWO)
    found = show(PRUNING, pruning=table)
    curves = {curve["name"]: curve for curve in found["curves"]["pruning"]}
    assert len(curves) == 2 * (len(SYSTEMS) - 1) + 1 and "nothing pruned" in curves
    hard = curves["learned thresholds (topk, final 0.3)"]
    (row,) = table[(table["pruning"] == TWO[1]) & (table["system"] == "hard") & (table["way"] == "dropped")].to_dict(
        "records"
    )
    assert hard["colour"] == SYSTEMS["hard"][1] and hard["symbol"] == SYMBOLS[MARKERS[1]]
    assert hard["settings"] == [f"{spell_pruning(TWO[1])}; tokens removed"]
    assert hard["values"] == {name: [round(row[name], 5)] for name in ("kept_share", "relative_flops", "f1", "roc_auc")}
    assert hard["intervals"]["f1"] == [[round(row["f1_low"], 5)], [round(row["f1_high"], 5)]]
    assert curves["nothing pruned"]["settings"] == [""]
    assert found["figures"]["pruning_roc_auc"]["y"] == {
        "column": "roc_auc", "title": "ROC AUC", "words": "ROC AUC", "scale": "number"
    }  # fmt: skip


def test_one_pruning_needs_no_name():
    names = [curve["name"] for curve in show(PRUNING, pruning=quality(TWO[:1]))["curves"]["pruning"]]
    assert names == [words for words, _ in SYSTEMS.values()]


def test_figures_of_several_tables_are_explored_together(points, language_model):
    found = show((*FIGURES, *LANGUAGE_MODEL, *PRUNING), predictors=points, sparse_mlm=language_model)
    assert {name: own["curves"] for name, own in found["figures"].items()} == {
        **dict.fromkeys(FIGURES[:2], "predictors"),
        **dict.fromkeys(LANGUAGE_MODEL, "sparse_mlm"),
    }
    assert set(found["curves"]) == {"predictors", "sparse_mlm"}


def test_every_marker_has_a_name_in_plotly():
    assert {style.marker for style in STYLES.values()} | set(MARKERS) <= set(SYMBOLS)


def test_the_library_is_packed_into_the_same_bytes_each_time():
    script, packed = plotting_library()
    assert plotting_library() == (script, packed) and len(packed) < len(script) / 2
    assert "</script" not in script.lower()
