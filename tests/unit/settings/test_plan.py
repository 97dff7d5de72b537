"""The sources and jobs of a run, and the files that it writes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from plans import plan
from sparse_attention.settings.paths import WILDCARDS, benchmark_of, log_of
from sparse_attention.settings.results import KINDS, Results
from sparse_attention.settings.sparse_points import SECTIONS

LINEAR = "kind~linear_dim~4_shared~true"
SPARSE = {"full_mlm_losses", "sparse_mlm_losses", "sparse_mlm_heads"}
FURTHER_TRAINED = {"finetuned_full_mlm_losses", "finetuned_mlm_losses", "finetuned_mlm_heads"}
DUMP = {"extract_qk__source": "dump.pt"}
SMALL = {
    "seeds": [1, 2],
    "attentions": ["entmax~1.5", "softmax"],
    "projections": [{"kind": "linear", "dim": 4}],
    "predictors": {"window": {"width": [1, 3]}, "kmeans": {"clusters": [4, 8], "runs": 1, "top": 1}},
    "prunings": [{"mode": "threshold", "final": 0.03, "lambda": [0.0, 0.1]}, {"mode": "topk", "final": 0.3}],
}


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({}, {"block_evaluations"}),
        (DUMP, {"documents_of_text", "blocks_of_text", "model_evaluation", "model_sparsity", "model_training",
                "block_evaluations", *SPARSE, *FURTHER_TRAINED}),
        ({"code": None}, {"code", "code_intake", "text_baselines", "code_tokens", "predictions", "kept", "thresholds",
                          "pruning_training", "timings", "block_evaluations"}),
        ({"fit_projections__source": "fitted.pt", "deviations": None}, {"curves", "deviations", "block_evaluations"}),
        ({"predictors": {"window": {"width": 1}}, "projections": [{"kind": "none", "block_size": 4}]},
         {"buckets", "common", "curves"}),
        ({"evaluate_sparse_mlm": None, "finetune_sparse_mlm": None}, {"block_evaluations", *SPARSE, *FURTHER_TRAINED}),
        ({"finetune_sparse_mlm": None}, {"block_evaluations", *FURTHER_TRAINED}),
        ({"time_attention": None}, {"block_evaluations", "attention_timings"}),
        ({"map_attention": None}, {"block_evaluations", "maps"}),
    ],
    ids=["default", "dump", "no code", "imported", "blocks", "no sparse model", "nothing trained further",
         "not timed", "no maps"],
)  # fmt: skip
def test_a_run_has_no_files_of_stages_that_it_skips(changes, missing):
    files = Results(plan(**changes)).files
    assert KINDS - set(files) == missing and set(files) <= KINDS


def test_retrieved_sources_and_the_receipt_of_each_name():
    own = plan(**DUMP, fit_projections__source="fitted.pt")
    assert own.text is None and own.model is None
    assert sorted(name for name, _ in own.retrieved) == sorted(
        {own.code.name, own.classifier.name, "wiki-2016-dump", "wiki-2016-projections"}
    )
    assert own.selected["corpus wiki-2016"] == own.imported["dump"].receipt
    shipped = plan(code=None)
    assert list(shipped.selected.values()) == [shipped.text.receipt, shipped.model.receipt]
    assert {source.receipt for source in shipped.retrieved.values()} == set(shipped.selected.values())


@pytest.mark.parametrize(
    ("predictor", "projection", "projections", "centroids", "train"),
    [("window", "kind~none", False, False, False), ("kmeans", LINEAR, True, True, False),
     ("gate", "kind~none", False, False, True)],
    ids=["nothing", "clusters", "fits itself"],
)  # fmt: skip
def test_a_job_reads_what_its_predictor_needs(predictor, projection, projections, centroids, train):
    job, own = SimpleNamespace(predictor=predictor, projection=projection), plan(**SMALL)
    for made, needed in (
        (own.projections_of, projections),
        (own.centroids_of, centroids),
        (own.qk_train_of, train),
        (own.gold_train_of, train),
    ):
        path = made(job)
        assert isinstance(path, str) if needed else path == []


def test_a_job_is_found_by_its_path():
    own = plan(**SMALL)
    for job in own.jobs:
        assert own.job_of(SimpleNamespace(**vars(job))) is job


def test_a_job_under_predicted_attention_is_found_by_its_path():
    own = plan(**SMALL)
    for section, jobs in own.sparse.items():
        for job in jobs:
            assert own.sparse_job_of(section, SimpleNamespace(**vars(job))) is job


def test_full_attention_is_evaluated_for_every_model_and_predicted_attention_for_entmax():
    files = Results(plan(**SMALL)).files
    assert {run["attention"] for run in files["full_mlm_losses"].runs} == {"entmax~1.5", "softmax"}
    assert {run["attention"] for run in files["sparse_mlm_heads"].runs} == {"entmax~1.5"}
    assert {run["steps"] for run in files["finetuned_mlm_losses"].runs} == {20}
    assert all("/finetuned/threshold~0.2/" in path for path in files["finetuned_mlm_heads"].paths)


def test_models_are_saved_with_their_predictors():
    exported, trained = [path for path in Results(plan(**SMALL)).sparse_models if "seed~1" in path]
    assert exported.startswith("results/sparse_models/") and exported.endswith(
        "/clusters~16_runs~1/top~2_window~11_keep~cls+last"
    )
    assert trained.endswith("/cos/all/finetuned/threshold~0.2/model")


def test_clusters_are_also_fitted_for_points_under_predicted_attention():
    assert "clusters~16_runs~1" in plan(**SMALL).clusterings
    assert "clusters~16_runs~1" not in plan(**SMALL, **dict.fromkeys(SECTIONS)).clusterings


def test_the_line_before_the_run_counts_points_and_jobs():
    changes = {**SMALL, "evaluate": {"windows": [0, 3], "keep": ["none"]}}
    # two seeds of a window at two widths, and of k-means with two numbers of clusters
    line = "wiki-2016, minilm-l6: 8 grid points, each with 2 settings of window and kept tokens, in 6 evaluation jobs"
    assert plan(**changes, **dict.fromkeys(SECTIONS)).preflight == line
    points = {"window": [{"width": [1, 3, 5]}]}
    own = plan(**changes, evaluate_sparse_mlm__points=points)
    assert own.preflight == f"{line}; the language model under predicted attention at 6 points"


def test_the_line_names_lengths_that_the_examples_do_not_fill():
    lengths = {"time_attention__lengths": [1024, 2048, 4096]}
    few = {"extract_qk__examples": {"train": 4, "validation": 4}}  # of 256 tokens
    remark = "; attention is not timed at 2048 and 4096 tokens, which extract_qk.examples.validation do not fill"
    assert plan(**lengths, **few).preflight.endswith(remark)
    for fitting in (plan(**lengths), plan(**few, time_attention=None), plan(**lengths, **few, **DUMP)):
        assert "not timed" not in fitting.preflight


def test_attention_is_timed_once_for_each_model_with_a_support():
    files = Results(plan(**SMALL)).files["attention_timings"]
    assert files.paths == ["results/timings/wiki-2016/minilm-l6/entmax~1.5/seed~1.tsv"]
    assert files.runs == [{"attention": "entmax~1.5", "seed": 1}]


def test_listed_predictors_are_mapped_once_for_each_model_with_a_support():
    files = Results(plan(**SMALL, map_attention__predictors=["kmeans", "window"])).files["maps"]
    run = "results/maps/wiki-2016/minilm-l6/entmax~1.5/seed~1"
    assert files.paths == [
        f"{run}/{LINEAR}/kmeans/clusters~4_runs~1.tsv", f"{run}/{LINEAR}/kmeans/clusters~8_runs~1.tsv",
        f"{run}/kind~none/window/all.tsv",
    ]  # fmt: skip
    assert [row["predictor"] for row in files.runs] == ["kmeans", "kmeans", "window"]


@pytest.mark.parametrize(
    ("sizes", "shown"), [([1, 4], [LINEAR]), ([4], [f"{LINEAR}_block_size~4"])], ids=["beside tokens", "alone"]
)
def test_blocks_are_mapped_where_a_predictor_has_nothing_else(sizes, shown):
    blocks = SMALL | {"projections": [{"kind": "linear", "dim": 4, "block_size": sizes}]}
    assert [job.projection for job in plan(**blocks, map_attention__predictors=["kmeans"]).mapped[::2]] == shown


def test_stages_of_a_pruning():
    own = plan(**SMALL)
    soft, hard = (SimpleNamespace(pruning=name) for name in own.prunings if "lambda" not in name)
    assert set(own.stages_of(soft)) == {"dense", "soft", "hard"} and set(own.stages_of(hard)) == {"dense", "hard"}
    assert "/soft/" in own.before_hard(soft) and "/dense/" in own.before_hard(hard)


def test_every_file_has_its_settings():
    own = plan(**SMALL)
    results = Results(own)
    for name, files in results.files.items():
        assert len(files.paths) == len(files.runs) == len(set(files.paths)) > 0, name
    evaluations = results.files["evaluations"]
    assert len(evaluations.paths) == 2 * len(own.jobs)
    for path, run in zip(evaluations.paths, evaluations.runs, strict=True):
        for part in (run["attention"], f"seed~{run['seed']}", run["projection"], run["predictor"]):
            assert f"/{part}/" in path
    assert {run["attention"] for run in results.files["gold"].runs} == {"entmax~1.5"}
    assert {run["attention"] for run in results.files["model_training"].runs} == {"entmax~1.5", "softmax"}
    assert all("clusters~" in path for path in results.files["buckets"].paths)


def test_files_of_prunings_are_those_of_their_stages():
    results = Results(plan(**SMALL, export_pruned__retrain=True))
    files = results.files
    assert len(results.pages) == len(results.exported) == len(results.pruned) == 6
    assert len(files["predictions"].paths) == len(files["kept"].paths) == 12
    assert [run["stage"] for run in files["pruning_training"].runs] == ["dense"] * 2 + ["soft"] * 4 + ["hard"] * 6
    assert len(files["thresholds"].paths) == 4 and not any("topk" in path for path in files["thresholds"].paths)
    assert all(path.startswith("results/timings/") for path in files["timings"].paths)


def test_pruned_data_sets_are_written_unless_switched_off():
    results = Results(plan(**SMALL, export_pruned=None))
    assert results.exported == [] and len(results.pages) == 6
    assert not any("retrained" in path for path in results.files["predictions"].paths)


@pytest.mark.parametrize(
    ("stage", "exported"),
    [("models", 6), ("predictors", 0), ("tables", 0)],
    ids=["models", "predictors", "tables"],
)
def test_a_run_from_tables_writes_no_pruned_data_sets(stage, exported):
    results = Results(plan(**SMALL, start_from={"path": "archive", "stage": stage}))
    assert len(results.exported) == exported and len(results.pages) == 6


def test_a_run_without_code_has_nothing_pruned():
    results = Results(plan(**SMALL, code=None))
    assert results.pages == results.exported == []
    assert len(results.centroids) == 2 * 3


def test_logs_and_benchmarks_have_one_grammar():
    assert log_of("report") == "results/logs/report.log"
    assert benchmark_of("gold_support", "{split}") == "results/benchmarks/gold_support/{split}.tsv"
    assert {"seed", "projection", "pruning"} <= set(WILDCARDS)
