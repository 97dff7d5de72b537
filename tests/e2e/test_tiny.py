"""The whole workflow on the tiny configuration: every stage for real, twice the same, and from a user's own files."""

import json
import re
import textwrap
import zipfile

import pandas as pd
import pytest
import torch

from killing import tables
from sparse_attention.plotting.registry import discover as figures
from sparse_attention.sparse_models.folder import load_sparse_model
from sparse_attention.summaries.registry import discover as published

RUN = "tiny/tiny/entmax~1.5/seed~1"


def test_every_result_is_there(finished):
    results = finished.folder / "results"
    for name in ("report.html", "provenance/manifest.json", f"models/{RUN}/model/model.safetensors"):
        assert (results / name).stat().st_size > 0, name
    for name in (
        "predictors",
        "pareto",
        "masked_lm",
        "training",
        "gold_sparsity",
        "attention_maps",
        "corpus",
        "projections",
        "code",
        "text_baselines",
        "pruning",
        "pruning_gains",
        "thresholds",
    ):
        assert len(pd.read_csv(results / "tables" / f"{name}.tsv", sep="\t")) > 0, name
    for path in sorted((results / "figures").glob("*.svg")):
        for kind in (".pdf", ".png"):
            assert path.with_suffix(kind).stat().st_size > 0, path


def test_nothing_temporary_is_left(finished):
    assert not list((finished.folder / "results").rglob("*.partial*"))
    assert not (finished.folder / "results/models" / RUN / "resume").exists()


def test_tables_make_sense(finished):
    frame = pd.read_csv(finished.folder / "results/tables/predictors.tsv", sep="\t", keep_default_na=False)
    for column in ("sparsity", "recall", "mass_recall", "exactness", "gold_sparsity"):
        assert frame[column].astype(float).between(0, 1).all(), column
    points = frame.groupby(["predictor", "projection", "point", "keep"])
    for key, group in points:
        ordered = group.sort_values("window")
        assert ordered["recall"].is_monotonic_increasing and ordered["sparsity"].is_monotonic_decreasing, key
    oracle = frame[(frame.predictor == "oracle") & (frame.window == 0) & (frame.keep == "none")]
    assert oracle.sort_values("sparsity")["recall"].is_monotonic_decreasing
    for split in ("train", "validation"):
        gold = pd.read_csv(finished.folder / f"results/gold/{RUN}/{split}.tsv", sep="\t")
        assert gold["gold_sparsity"].between(0, 1, inclusive="neither").all()


def test_training_learnt_something(finished):
    frame = pd.read_csv(finished.folder / f"results/models/{RUN}/evaluation.tsv", sep="\t").set_index("stage")
    assert frame.loc["after", "loss"] < frame.loc["before", "loss"]


def test_code_is_split_by_project_and_learnable(finished):
    functions = pd.read_parquet(finished.folder / "results/code/tiny/functions.parquet")
    assert functions.groupby("project")["split"].nunique().max() == 1
    assert not functions["functionSource"].duplicated().any()
    table = pd.read_csv(finished.folder / "results/tables/text_baselines.tsv", sep="\t")
    accuracy = table[table["split"] == "test"].set_index("classifier")["accuracy"]
    assert accuracy["tf-idf"] > accuracy["majority"]


PRUNED = "results/pruning/tiny/tiny/seed~1/mode~threshold_temperature~0.005_lambda~0.1_final~0.03"


def test_pruned_classifiers_make_sense(finished):
    table = pd.read_csv(finished.folder / "results/tables/pruning.tsv", sep="\t")
    assert table["kept_share"].between(0, 1).all() and table["accuracy"].between(0, 1).all()
    by_way = table.set_index(["pruning", "system", "way"])
    for pruning, rows in table.groupby("pruning"):
        for metric in ("accuracy", "f1", "roc_auc", "kept_share"):
            masked, dropped = (by_way.loc[(pruning, "hard", way), metric] for way in ("masked", "dropped"))
            assert masked == dropped, (pruning, metric)
        assert by_way.loc[(pruning, "hard", "masked"), "relative_flops"] == 1
        hard, dense = (by_way.loc[(pruning, system, "dropped"), "gflops"] for system in ("hard", "dense"))
        assert hard < dense
        assert {"manual", "topk", "random", "text", "retrained"} <= set(rows["system"])
    dense = table[(table["system"] == "dense") & (table["way"] == "dropped")]
    assert (dense["accuracy"] > 0.9).all()


def test_thresholds_were_learned(finished):
    table = pd.read_csv(finished.folder / "results/tables/thresholds.tsv", sep="\t")
    assert (table["moved"].abs() > 1e-4).all()
    trained = pd.read_csv(finished.folder / "results/tables/pruning_training.tsv", sep="\t", keep_default_na=False)
    assert set(trained["stage"]) == {"dense", "soft", "hard"}


def test_a_pruned_model_opens_as_one_of_hugging_face(finished):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from sparse_attention.pruning.stored import load_pruned_model

    folder = finished.folder / PRUNED / "hard/model"
    network, tokenizer = (
        AutoModelForSequenceClassification.from_pretrained(folder),
        AutoTokenizer.from_pretrained(folder),
    )
    batch = tokenizer(["def feeds_river(self):"], return_tensors="pt")
    ours = load_pruned_model(folder)
    with torch.no_grad():
        logits = ours(batch["input_ids"], batch["attention_mask"], "dense").logits
        torch.testing.assert_close(network.eval()(**batch).logits, logits, atol=1e-4, rtol=1e-4)


def test_the_pruned_data_set_enters_as_a_corpus(finished):
    """The exported files are what the format `table` reads, and beside them lies the original's layout."""
    from sparse_attention.data.code.functions import Intake
    from sparse_attention.data.code.readers.table import Table

    folder = finished.folder / PRUNED / "export"
    rows = pd.read_parquet(folder / "pruned.parquet")
    assert len(rows) == 120 and rows["last_layer"].map(max).max() == 2 and rows["last_layer"].map(min).min() == 0
    files = {split: [folder / "csv" / f"{split}.csv"] for split in ("train", "validation", "test")}
    found = list(Table(project_column="project").read(files, Intake("refuse")))
    assert [f.label for f in found if f.split == "test"] == rows[rows["split"] == "test"]["label"].tolist()
    for name in ("train", "dev", "test"):
        assert list(pd.read_csv(folder / "csv/original" / f"{name}_pruned.csv")) == ["label", "code"]


def test_the_page_shows_the_functions(finished):
    html = (finished.folder / PRUNED / "tokens.html").read_text()
    assert 'src="' not in html and html.count("<section>") == 4


def test_the_report_leads_to_the_pages(finished):
    html = (finished.folder / "results/report.html").read_text()
    links = {f"results/{link}" for link in re.findall(r'href="(pruning/[^"]*)"', html)}
    pages = (finished.folder / "results/pruning").rglob("tokens.html")
    assert (
        links == {path.relative_to(finished.folder).as_posix() for path in pages} and f"{PRUNED}/tokens.html" in links
    )


def test_agreement_of_scikit_learn_and_torch(finished):
    (path,) = (finished.folder / "results/centroids").rglob("agreement.tsv")
    frame = pd.read_csv(path, sep="\t")
    assert (frame["mismatches"] == 0).all() and (frame["vectors"] > 0).all()


def test_fit_and_evaluation_documents_are_disjoint(finished):
    train, validation = (
        json.loads((finished.folder / f"results/qk/{RUN}/{split}/qk.json").read_text())["documents"]
        for split in ("train", "validation")
    )
    assert set(train).isdisjoint(validation)


def test_the_report_needs_no_network(finished):
    html = (finished.folder / "results/report.html").read_text()
    assert 'src="http' not in html and "@import" not in html and "<link" not in html
    assert "tiny" in html and "entmax" in html


@pytest.mark.again
def test_two_clean_runs_give_the_same_bytes(finished, checkout):
    run = checkout.snakemake()
    assert run.returncode == 0, run.stdout + run.stderr
    first, second = tables(finished.folder), tables(checkout.folder)
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
    times = {name for name, info in published().items() if info.timed}
    for figure in sorted((finished.folder / "results/figures").iterdir()):
        if not times & set(figures()[figure.stem].needs):
            assert figure.read_bytes() == (checkout.folder / "results/figures" / figure.name).read_bytes(), figure.name


@pytest.mark.again
def test_original_dump_projections_and_centroids_enter(copy_of_finished):
    """A dump, projections and centroids in the originals' layouts give the tables that our own files gave."""
    from sparse_attention.qk.dump_writing import write_dump
    from sparse_attention.qk.store import QKReader

    folder = copy_of_finished.folder
    results = folder / "results"
    for split in ("train", "validation"):
        write_dump(QKReader(results / "qk" / RUN / split), folder / f"{split}_enc-attn.pt")
    (projections,) = results.glob(f"projections/{RUN}/*/projections.pt")
    (centroids,) = results.glob(f"centroids/{RUN}/*/*/centroids.pt")
    assert isinstance(torch.load(projections, weights_only=True), list)
    (folder / "mine").mkdir()
    projections.rename(folder / "mine/projections.pt")
    centroids.rename(folder / "mine/centroids.pt")
    check_import(copy_of_finished, "mine/projections.pt", "mine/centroids.pt", ("cos", "l2", "kmeans", "oracle"))


def test_our_own_projections_and_centroids_enter(copy_of_finished):
    folder = copy_of_finished.folder
    results = folder / "results"
    (projections,) = results.glob(f"projections/{RUN}/*/projections.safetensors")
    (centroids,) = results.glob(f"centroids/{RUN}/*/*/centroids.safetensors")
    (folder / "mine").mkdir()
    for path in (projections, centroids):
        for file in path.parent.glob(f"{path.stem}.*"):
            (folder / "mine" / file.name).write_bytes(file.read_bytes())
    for split in ("train", "validation"):
        (results / "qk" / RUN / split).rename(folder / "mine" / split)
    overlay = "{train: mine/train, validation: mine/validation}"
    # what follows from the imports is what follows from those of the originals
    check_import(
        copy_of_finished,
        "mine/projections.safetensors",
        "mine/centroids.safetensors",
        ("cos", "kmeans"),
        overlay,
        until="evaluate_predictor",
    )


def check_import(
    checkout,
    projections,
    centroids,
    predictors,
    dump="{train: train_enc-attn.pt, validation: validation_enc-attn.pt}",
    until=None,
):
    folder = checkout.folder
    names = ["window", "cos", "l2", "fixed", "dynamic", "kmeans", "bigbird", "longformer", "oracle", "random"]
    off = ", ".join(f"{name}: null" for name in names if name not in predictors)
    overlay = checkout.write(
        "mine.yaml",
        f"corpus: my-dump\ncode: null\nextract_qk: {{source: {dump}}}\nfit_projections: {{source: {projections}}}\n"
        f"fit_clusters: {{source: {centroids}}}\npredictors: {{{off}}}\n",
    )
    before = {
        name: (next((folder / f"results/predictors/{RUN}").glob(f"*/{name}/*.tsv"))).read_bytes() for name in predictors
    }
    (folder / "results").rename(folder / "before")
    run = checkout.snakemake(*(["--until", until] if until else []), configfiles=("tests/config/tiny.yaml", overlay))
    assert run.returncode == 0, run.stdout + run.stderr
    for name in predictors:
        after = next(
            (folder / f"results/predictors/{RUN.replace('tiny', 'my-dump', 1)}").glob(f"*/{name}/*.tsv")
        ).read_bytes()
        assert after == before[name], name
    assert "train_mlm" not in run.stdout + run.stderr
    assert (folder / "results/report.html").exists() == (until is None)


SPARSE = f"results/sparse_mlm/{RUN}"


def test_the_language_model_runs_under_predicted_attention(finished):
    losses = {
        path.parent.parent.name: pd.read_csv(path, sep="\t")
        for path in (finished.folder / SPARSE).glob("*/*/*/losses.tsv")
    }
    full = pd.read_csv(finished.folder / SPARSE / "full/losses.tsv", sep="\t")
    assert set(losses) == {"oracle", "random", "window", "cos", "kmeans"} and len(full) == 6
    oracle = losses["oracle"].groupby("setting", sort=False)["loss"].mean()
    assert oracle["keys~16"] == pytest.approx(full["loss"].mean(), rel=1e-3)
    heads = pd.read_csv(finished.folder / SPARSE / "kind~none/oracle/all/heads.tsv", sep="\t")
    means = (
        heads[heads["gold"] == "current"].groupby("setting", sort=False)[["recall", "sparsity", "output_error"]].mean()
    )
    assert means["recall"].is_monotonic_increasing and means["sparsity"].is_monotonic_decreasing
    assert means["output_error"].is_monotonic_decreasing


def test_a_model_trained_further_opens_and_differs(finished):
    (exported,) = (finished.folder / f"results/sparse_models/{RUN}").glob("*/kmeans/*/*")
    (trained,) = (finished.folder / SPARSE).glob("*/kmeans/*/finetuned/*/model")
    models = [load_sparse_model(folder) for folder in (exported, trained)]
    weights = [model.state_dict() for model in models]
    assert models[0].predicted.point == models[1].predicted.point
    assert any(not torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not list(trained.parent.glob("resume"))


def test_the_example_of_the_page_on_own_data_runs(finished, tmp_path, monkeypatch):
    (exported,) = (finished.folder / f"results/sparse_models/{RUN}").glob("*/kmeans/*/*")
    (tmp_path / "exported").symlink_to(exported)
    page = (finished.folder / "docs/your-own-data.md").read_text(encoding="utf-8")
    start = page.index("    from transformers import AutoTokenizer\n")
    example = page[start : page.index("\n\n", page.index("save_pretrained", start))]
    monkeypatch.chdir(tmp_path)
    made: dict[str, object] = {}
    exec(textwrap.dedent(example), made)
    assert made["logits"].shape[-1] == made["model"].config.vocab_size
    copied = load_sparse_model(tmp_path / "copy")
    batch = made["tokenizer"]("Paris is the [MASK] of France.", return_tensors="pt")
    assert torch.equal(copied(**batch).logits, made["logits"])


@pytest.mark.again
def test_step_4_runs_on_the_originals_files_without_extraction(copy_of_finished):
    """A model folder, projections and centroids in the originals' layouts give the losses that our own files gave."""
    folder = copy_of_finished.folder
    before = {path.parts[-3]: path.read_bytes() for path in (folder / SPARSE).glob("kind~linear*/*/*/losses.tsv")}
    (projections,) = (folder / f"results/projections/{RUN}").glob("*/projections.pt")
    (centroids,) = (folder / f"results/centroids/{RUN}").glob("*/*/centroids.pt")
    (folder / "mine").mkdir()
    for path, name in ((f"results/models/{RUN}/model", "model"), (projections, "p.pt"), (centroids, "c.pt")):
        (folder / path).rename(folder / "mine" / name)
    (folder / "results").rename(folder / "before")
    overlay = copy_of_finished.write(
        "mine.yaml",
        "model: mine\ncode: null\ntrain_mlm: {source: mine/model}\nfit_projections: {source: mine/p.pt}\n"
        "fit_clusters: {source: mine/c.pt}\nfinetune_sparse_mlm: null\n",
    )
    run = copy_of_finished.snakemake("sparse_mlm", configfiles=("tests/config/tiny.yaml", overlay))
    assert run.returncode == 0, run.stdout + run.stderr
    assert not (folder / "results/qk").exists()
    after = {
        path.parts[-3]: path.read_bytes()
        for path in (folder / SPARSE.replace("tiny/tiny", "tiny/mine")).glob("kind~linear*/*/*/losses.tsv")
    }
    assert set(after) == {"cos", "kmeans"} and after == before
    assert list((folder / "results/sparse_models").rglob("predictor/centroids.safetensors"))


def test_snakemakes_own_report_is_made(copy_of_finished, tmp_path):
    run = copy_of_finished.snakemake("--report", str(tmp_path / "report.zip"))
    assert run.returncode == 0, run.stdout + run.stderr
    with zipfile.ZipFile(tmp_path / "report.zip") as archive:
        names = " ".join(archive.namelist())
        (page,) = (archive.read(name).decode() for name in archive.namelist() if name.endswith("report.html"))
    assert "pareto_recall" in names and "predictors.tsv" in names
    entry = page[page.index('"labels": {"figure": "heatmap_gold"}') :]
    assert '"caption": "<p>Gold sparsity of every layer and head' in entry[: entry.index("job_properties")]
    assert re.search(r'"The gold support": \{"Other": \[[^\]]*"results/figures/heatmap_gold.svg"', page)


def test_a_trained_model_enters_and_is_only_evaluated(copy_of_finished):
    folder = copy_of_finished.folder
    (folder / f"results/models/{RUN}/model").rename(folder / "trained")
    overlay = copy_of_finished.write("trained.yaml", "model: mine\ntrain_mlm: {source: trained}\n")
    target = f"results/models/{RUN.replace('tiny/tiny', 'tiny/mine')}/evaluation.tsv"
    run = copy_of_finished.snakemake(target, configfiles=("tests/config/tiny.yaml", overlay))
    assert run.returncode == 0, run.stdout + run.stderr
    losses = [
        pd.read_csv(folder / path, sep="\t").set_index("stage")["loss"]
        for path in (f"results/models/{RUN}/evaluation.tsv", target)
    ]
    assert losses[1]["before"] == losses[1]["after"] == losses[0]["after"]


@pytest.mark.again
def test_seeds_give_intervals(copy_of_finished):
    off = ", ".join(f"{name}: null" for name in ("fixed", "bigbird", "window", "l2", "pca", "gate", "random"))
    pruning = "{mode: topk, score: cls, final: 0.3}"
    overlay = copy_of_finished.write("seeds.yaml", f"seeds: [1, 2]\npredictors: {{{off}}}\nprunings: [{pruning}]\n")
    run = copy_of_finished.snakemake(configfiles=("tests/config/tiny.yaml", overlay))
    assert run.returncode == 0, run.stdout + run.stderr
    frame = pd.read_csv(copy_of_finished.folder / "results/tables/predictors.tsv", sep="\t")
    assert (frame["seeds"] == 2).all()
    assert frame["recall_ci95"].notna().all() and (frame["recall_ci95"] >= 0).all()
