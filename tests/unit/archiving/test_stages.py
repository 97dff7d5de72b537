from __future__ import annotations

import copy
import json

import pytest

from archived_runs import CONFIG
from sparse_attention.archiving import stages
from sparse_attention.archiving.bundle import Bundle
from sparse_attention.archiving.stages import (
    STAGES,
    files_taken,
    is_mixed,
    rules_until,
    settings_behind,
    stages_of,
)
from sparse_attention.errors import InputError


@pytest.fixture
def bundle(packed):
    return Bundle(packed("one.zip", "models", "qk", "tables"))


DEFAULTS = {"train_mlm": {"compile": False, "steps": 3}, "analyse_buckets": {"examples": 8}, "blocks": {"length": 16}}


def differing(bundle, stage, settings):
    """Return why a run cannot start from a bundle, by the dotted key."""
    return {".".join(key): text for key, text in stages.differences(bundle, stage, settings, DEFAULTS).items()}


def changed(**values):
    return {**copy.deepcopy(CONFIG), **values}


def test_rules_add_up_in_the_order_of_stages():
    assert "train_mlm" in rules_until("models") and "extract_qk" not in rules_until("models")
    assert set(rules_until("models")) < set(rules_until("qk")) < set(rules_until("centroids"))
    assert rules_until("predictors") == rules_until("tables") == ()


@pytest.mark.parametrize(
    ("rule", "path", "stages"),
    [
        ("train_mlm", "results/models/a/model", {"models", "qk", "centroids"}),
        ("train_mlm", "results/models/a/kernel.json", {"models", "qk", "centroids", "predictors"}),
        ("restore_train_mlm", "results/models/a/model", {"models", "qk", "centroids"}),
        ("fit_clusters", "results/centroids/a/clusters.safetensors", {"centroids"}),
        ("evaluate_predictor", "results/predictors/a.tsv", {"predictors"}),
        ("show_pruning", "results/pruning/a/tokens.html", {"predictors", "tables"}),
        ("summarise", "results/tables/a.tsv", {"tables"}),
        ("report", "results/report.html", {"figures"}),
        ("prune_soft", "results/pruning/a/soft/thresholds.tsv", {"exports", "predictors"}),
        ("prune_hard", "results/pruning/a/hard/model", {"exports"}),
        ("retrain_pruned", "results/pruning/a/retrained/training.tsv", {"exports", "predictors"}),
        ("export_pruned", "results/pruning/a/export/pruned.parquet", {"exports"}),
        ("finetune_sparse_mlm", "results/sparse_mlm/a/model", {"exports"}),
        ("export_sparse_model", "results/sparse_models/a", {"exports"}),
        ("retrieve", "resources/a/receipt.json", set()),
    ],
)
def test_each_result_has_its_stages(rule, path, stages):
    assert stages_of(rule, path) == stages


@pytest.mark.parametrize(
    ("stage", "change"),
    [
        pytest.param("models", {"predictors": {}, "extract_qk": {"examples": 9}, "seeds": [2]}, id="later_and_fewer"),
        pytest.param("qk", {"projections": [{"dim": 2}]}, id="later"),
        pytest.param("tables", {"figures": {"window": 3}, "threads": {"fit": 4}, "device": "cuda"}, id="figures"),
        pytest.param("tables", {"corpora": {"wiki": {"path": ".../wiki.txt"}}}, id="not_selected"),
        pytest.param("tables", {"corpora": {"wiki": {"path": "/elsewhere/wiki.txt"}}}, id="another_folder"),
        pytest.param("tables", {"map_attention": {"tokens": 8}}, id="newer"),
        pytest.param("qk", {"map_attention": {"tokens": 8}}, id="later_and_newer"),
    ],
)
def test_settings_that_change_nothing_in_the_bundle_may_differ(bundle, stage, change):
    assert differing(bundle, stage, settings_behind(changed(**change), stage)) == {}


@pytest.mark.parametrize(
    ("stage", "change", "key"),
    [
        pytest.param("models", {"blocks": {"length": 32}}, "blocks.length", id="earlier"),
        pytest.param("models", {"seeds": [1, 3]}, "seeds", id="more_seeds"),
        pytest.param("tables", {"seeds": [1]}, "seeds", id="fewer_seeds_of_tables"),
        pytest.param("qk", {"extract_qk": {"examples": 9}}, "extract_qk.examples", id="own_stage"),
        pytest.param("tables", {"corpora": {"wiki": {"path": ".../other.txt"}}}, "corpora.wiki.path", id="selected"),
    ],
)
def test_settings_that_made_something_else_are_named(bundle, stage, change, key):
    found = differing(bundle, stage, settings_behind(changed(**change), stage))
    assert list(found) == [key]
    assert "is not what" in found[key] and "one.zip was made with; allowed: " in found[key]


def test_each_value_that_differs_is_named_with_what_is_allowed(bundle):
    ours = changed(train_mlm={"steps": 4, "batch_size": 7, "save_steps": 5}, blocks={}, predictors={"cos": {}})
    place = bundle.place
    assert differing(bundle, "tables", settings_behind(ours, "tables")) == {
        "train_mlm.steps": f"4 is not what {place} was made with; allowed: 3",
        "train_mlm.batch_size": f"7 is not what {place} was made with; allowed: 2",
        "train_mlm.save_steps": f"5 is not what {place} was made with, by a version that does not know this key; "
        "allowed: that version of the workflow, or a bundle of a newer version",
        "blocks.length": f"is not set, but {place} was made with it; allowed: 16",
        "predictors.cos": f"{{}} is not in what {place} was made with; allowed: to leave it out",
        "predictors.oracle": f"is not set, but {place} was made with it; allowed: {{keys: [1]}}",
    }


@pytest.mark.parametrize("stage", ["models", "tables"])
def test_a_key_that_an_older_version_does_not_know_may_have_its_default(packed, run, stage):
    manifest = run / "results/provenance/manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"code": {"version": "1.0.0"}}))
    bundle = Bundle(packed("one.zip", "models", "tables"))
    ours = changed(train_mlm={**CONFIG["train_mlm"], "compile": False}, analyse_buckets={"examples": 8})
    assert differing(bundle, stage, settings_behind(ours, stage)) == {}
    ours["train_mlm"]["compile"] = True
    found = differing(bundle, stage, settings_behind(ours, stage))
    assert found == {
        "train_mlm.compile": f"true is not what {bundle.place} was made with, by version 1.0.0, which does not know "
        "this key; allowed: false, 1.0.0 of the workflow, or a bundle of a newer version"
    }


def test_of_a_section_that_makes_files_only_null_fits_an_older_bundle_of_evaluations(packed):
    bundle = Bundle(packed("one.zip", "predictors"))
    found = differing(bundle, "predictors", settings_behind(changed(analyse_buckets={"examples": 8}), "predictors"))
    assert "allowed: null, " in found.pop("analyse_buckets") and not found


@pytest.mark.parametrize(
    "values",
    [{"models": None}, {"models": [1]}, {"corpus": ["a"]}, {"seeds": [[1]]}, {"corpora": 5}, {"code": ["x"]}],
)
def test_an_index_with_a_configuration_of_another_form_is_one_line(bundle, values):
    bundle.config.update(values)
    with pytest.raises(InputError, match=r"one\.zip: bundle\.json is damaged \(.*\); allowed: a bundle"):
        differing(bundle, "models", settings_behind(CONFIG, "models"))


def test_what_a_newer_section_makes_is_not_in_an_older_bundle_of_evaluations(packed):
    bundle, maps = Bundle(packed("evaluated.zip", "predictors")), {"map_attention": {"tokens": 8}}
    assert list(differing(bundle, "predictors", settings_behind(changed(**maps), "predictors"))) == ["map_attention"]
    without = settings_behind(changed(map_attention=None), "predictors")
    assert differing(bundle, "predictors", without) == {}


def test_a_section_that_the_bundle_knows_must_be_the_same(bundle):
    bundle.config["map_attention"] = {"tokens": 8}
    for maps, wrong in (({"tokens": 8}, []), ({"tokens": 9}, ["map_attention.tokens"]), (None, ["map_attention"])):
        found = differing(bundle, "tables", settings_behind(changed(map_attention=maps), "tables"))
        assert list(found) == wrong


@pytest.mark.parametrize(
    ("stages", "path", "mixed"),
    [
        (["tables", "figures", "predictors"], "results/models/a/training.tsv", False),
        (["tables"], "results/pruning/a/tokens.html", True),
        (["figures"], "results/figures/attention_maps.svg", True),
        (["predictors"], "results/maps/a.tsv", True),
        (["models"], "results/models/a/model/config.json", True),
        (["exports"], "results/pruning/a/export/pruned.parquet", True),
    ],
)
def test_bundles_with_works_of_others_are_known(stages, path, mixed):
    assert is_mixed(stages, ["results/tables/a.tsv", path]) is mixed


def test_no_run_starts_from_what_a_bundle_only_carries(packed):
    bundle = Bundle(packed("carried.zip", "exports", "figures"))
    assert bundle.stages == ["figures", "exports"]
    found = differing(bundle, "tables", settings_behind(CONFIG, "tables"))
    assert found["start_from"].endswith("carried.zip; allowed: another bundle")


def test_a_stage_that_is_not_there_is_named(bundle):
    found = differing(bundle, "centroids", settings_behind(CONFIG, "centroids"))
    assert found["start_from"].endswith("one.zip; allowed: models, qk, tables")


def test_of_tables_and_predictors_only_what_is_read_is_taken():
    files, pages, published = {"gold": ["g.tsv"]}, ["p.html"], ["t.tsv"]
    taken = {stage: files_taken(stage, files, pages, published) for stage in STAGES}
    assert taken["tables"] == {"tables": ["t.tsv", "p.html"]}
    assert taken["predictors"] == {"gold": ["g.tsv"], "pages": ["p.html"]}
    assert taken["models"] == taken["qk"] == taken["centroids"] == {}
