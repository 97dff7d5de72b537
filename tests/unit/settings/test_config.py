"""The configuration is checked as a whole, and every error says where it is, what is wrong and what is allowed."""

import copy
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import save_file
from snakemake.utils import update_config

from sparse_attention.errors import InputError
from sparse_attention.settings import config as settings
from sparse_attention.settings.origins import Origins, read_origins

ROOT = Path(__file__).parents[3]
FILE = str(ROOT / "config" / "config.yaml")
SHOWN = os.path.relpath(FILE)
REGISTRY = {
    "enwiki-2016-excerpt": {"kind": "text", "version": "1"},
    "all-minilm-l6-v2": {"kind": "model", "version": "1"},
    "pypi-bandit": {"kind": "code", "version": "1"},
}


@pytest.fixture
def config():
    return yaml.safe_load(Path(FILE).read_text())


def put(config, key, value):
    *parents, last = key.split(".")
    for part in parents:
        config = config[int(part)] if isinstance(config, list) else config[part]
    config[int(last) if isinstance(config, list) else last] = value


def complaint(config, files=(FILE,)):
    with pytest.raises(InputError) as caught:
        settings.validate(config, read_origins(files), REGISTRY, ROOT)
    return str(caught.value)


def test_default_configuration_is_valid(config):
    settings.validate(config, Origins(), REGISTRY, ROOT)


@pytest.mark.parametrize(
    "file", sorted(path.name for path in (ROOT / "config").glob("*.yaml") if path.name != "datasets.yaml")
)
def test_every_preset_uses_known_keys(config, file):
    def keys(mapping, prefix=()):
        for key, value in mapping.items():
            yield (*prefix, key)
            if isinstance(value, dict) and (*prefix, key) not in {
                ("corpora",),
                ("models",),
                ("code_corpora",),
                ("datasets",),
                ("start_from",),
                ("evaluate_sparse_mlm", "points"),
                ("finetune_sparse_mlm", "points"),
            }:
                yield from keys(value, (*prefix, key))

    known = set(keys(config))
    preset = yaml.safe_load((ROOT / "config" / file).read_text())
    assert {key for key in keys(preset) if key[0] != "predictors"} <= known


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("seedz", 1, ["seedz: no such key", "did you mean seeds?"]),
        ("train_mlm.stepz", 1, ["train_mlm.stepz: no such key", "did you mean steps?"]),
        ("predictors.kmeens", {}, ["predictors.kmeens: no such key", "did you mean kmeans?"]),
        ("predictors.cos.thresold", [1], ["predictors.cos.thresold: no such key", "did you mean threshold?"]),
        ("train_mlm.steps", 0, ["train_mlm.steps: 0", "a whole number at least 1"]),
        ("train_mlm.steps", "many", ["train_mlm.steps: 'many'", "a whole number"]),
        ("train_mlm.mask_probability", 1.5, ["train_mlm.mask_probability: 1.5", "above 0", "below 1"]),
        ("attentions", ["entmax~1"], ["attentions[0]: 'entmax~1'", "A in (1, 2]"]),
        ("attentions", ["softmax"], ["attentions: softmax alone", "at least one entmax"]),
        ("seeds", [1, 1], ["seeds: [1, 1]", "without repeats"]),
        ("seeds", [], ["seeds: []"]),
        ("device", "gpu", ["device: 'gpu'", "cuda"]),
        ("corpus", "wiki-2017", ["corpus: 'wiki-2017'", "did you mean wiki-2016?"]),
        (
            "corpora.wiki-2016.dataset",
            "enwiki-2016",
            ["corpora.wiki-2016.dataset: 'enwiki-2016'", "enwiki-2016-excerpt"],
        ),
        (
            "corpora.wiki-2016.dataset",
            "all-minilm-l6-v2",
            ["corpora.wiki-2016.dataset", "is of kind model", "allowed: kind text or code"],
        ),
        ("corpora.wiki-2016.path", "here", ["corpora.wiki-2016: needs either dataset or path"]),
        ("prepare.split.train", 0.9, ["prepare.split: train, validation and test sum to 1"]),
        ("blocks.min_length", 1000, ["blocks.min_length: 1000", "blocks.length"]),
        ("evaluate.windows", [0, 4], ["evaluate.windows[1]: 4 is even"]),
        (
            "evaluate_sparse_mlm.points.cosine",
            [{}],
            ["evaluate_sparse_mlm.points.cosine: no such key", "did you mean cos?"],
        ),
        (
            "evaluate_sparse_mlm.points.cos",
            [{"threshold": 0.1, "windw": 3}],
            ["evaluate_sparse_mlm.points.cos[0].windw: no such key", "did you mean window?"],
        ),
        ("evaluate_sparse_mlm.points.cos", [{"window": 3}], ["points.cos[0].threshold: is missing"]),
        (
            "evaluate_sparse_mlm.points.cos",
            [{"threshold": 0.1, "window": [0, 4]}],
            ["points.cos[0].window[1]: 4 is even"],
        ),
        ("evaluate_sparse_mlm.points.cos", [{"threshold": 0.1, "window": 4}], ["points.cos[0].window: 4 is even"]),
        (
            "evaluate_sparse_mlm.points.cos",
            [{"threshold": 0.1, "keep": "clz"}],
            ["points.cos[0].keep: 'clz'", "cls+last"],
        ),
        (
            "evaluate_sparse_mlm.points.cos",
            [{"threshold": 0.1, "dense_empty_rows": 1}],
            ["points.cos[0].dense_empty_rows: 1", "true | false"],
        ),
        ("evaluate_sparse_mlm.points.cos", {"threshold": 0.1}, ["points.cos: ", "a list"]),
        (
            "finetune_sparse_mlm.points.kmeans",
            [{"clusters": 4, "runs": 1, "top": 5}],
            ["finetune_sparse_mlm.points.kmeans[0].top: 5 is above clusters 4"],
        ),
        ("finetune_sparse_mlm.parameters", "projections", ["parameters: 'projections'", "all | all_but_query_key"]),
        ("time_attention.predictors", ["quezt"], ["time_attention.predictors[0]: 'quezt'", "did you mean quest?"]),
        ("time_attention.predictors", [], ["time_attention.predictors: []"]),
        ("time_attention.lengths", [256, 8], ["time_attention.lengths[1]: 8", "a whole number at least 16"]),
        ("time_attention.lengths", [256, 256], ["time_attention.lengths: [256, 256]", "without repeats"]),
        ("time_attention.kept", [10], ["time_attention.kept[0]: 10", "at most 1"]),
        ("time_attention.kept", 0.1, ["time_attention.kept: 0.1", "a list"]),
        ("time_attention.block", 40, ["time_attention.block: 40", "multiples of 16"]),
        ("time_attention.computed", ["sparsemax"], ["time_attention.computed[0]: 'sparsemax'", "entmax | softmax"]),
        ("evaluate_sparse_mlm", None, ["finetune_sparse_mlm: is set; allowed: null"]),
        ("evaluate.keep", ["clz"], ["evaluate.keep[0]: 'clz'", "none | cls | last | cls+last"]),
        ("code", "pypi-bandits", ["code: 'pypi-bandits'", "did you mean pypi-bandit?"]),
        (
            "code_corpora.pypi-bandit.dataset",
            "all-minilm-l6-v2",
            ["code_corpora.pypi-bandit.dataset", "is of kind model", "allowed: kind code"],
        ),
        ("code_corpora.pypi-bandit.path", "here", ["code_corpora.pypi-bandit: needs either dataset or path"]),
        (
            "code_corpora.pypi-bandit.format",
            "csv",
            ["code_corpora.pypi-bandit.format: 'csv'", "bandit | debian | table"],
        ),
        ("code_corpora.debian-fixes.patches", "*CVE*", ["code_corpora.debian-fixes.patches: '*CVE*'", "list"]),
        ("code_corpora.debian-fixes.patches", [], ["code_corpora.debian-fixes.patches: []"]),
        ("code_corpora.debian-fixes.patches", [""], ["code_corpora.debian-fixes.patches[0]: ''"]),
        ("prepare_code.split.test", 0.9, ["prepare_code.split: train, validation and test sum to 1"]),
        ("prepare_code.min_lines", 500, ["prepare_code.min_lines: 500 is above prepare_code.max_lines"]),
        ("prepare_code.ignored_rules", ["101"], ["prepare_code.ignored_rules[0]: '101'", "a rule of bandit"]),
        ("prepare_code.overlap", "merge", ["prepare_code.overlap: 'merge'", "drop | refuse | keep"]),
        ("projections", [{"kind": "linear"}], ["projections[0]: kind linear takes dim"]),
        ("projections", [{"kind": "mlp", "dim": 4}], ["projections[0]: kind mlp takes dim, hidden"]),
        ("projections", [{"kind": "none", "dim": 4}], ["projections[0]: kind none takes nothing"]),
        ("figures.keep", "cls", ["figures.keep: cls is not in evaluate.keep"]),
        ("figures.window", 5, ["figures.window: 5 is not in evaluate.windows"]),
        ("figures.heatmap.predictor", "kmeanz", ["figures.heatmap.predictor: 'kmeanz'", "kmeans"]),
        (
            "map_attention.predictors",
            ["window", "cosine", "kmeens"],
            ["map_attention.predictors[1]: 'cosine' is not among predictors", "predictors[2]: 'kmeens'", "kmeans?"],
        ),
        (
            "map_attention.predictors",
            ["euclidean"],
            ["map_attention.predictors[0]: 'euclidean' is not among predictors"],
        ),
        ("map_attention.predictors", [], ["map_attention.predictors: []"]),
        ("map_attention.predictors", "cos", ["map_attention.predictors: 'cos'", "a list"]),
        ("map_attention.example", 32, ["map_attention.example: 32 is too high", "examples.validation, 32"]),
        ("map_attention.tokens", 1, ["map_attention.tokens: 1", "at least 2"]),
        ("train_mlm.anneal.start", 1.1, ["train_mlm.anneal: start and steps belong together"]),
        ("extract_qk.source", "no/such_enc-attn.pt", ["extract_qk.source: no/such_enc-attn.pt: no such file"]),
        ("extract_qk.source", {"train": "a"}, ["extract_qk.source.validation: is missing"]),
        ("extract_qk.source", 7, ["extract_qk.source: 7", "null", "a mapping with train, validation"]),
        ("fit_clusters.source", "nothing.pt", ["fit_clusters.source: nothing.pt: no such file"]),
        (
            "predictors.kmeans.top",
            [1, 5],
            ["predictors.kmeans.top: 5 is above clusters 4", "at most the smallest clusters"],
        ),
        ("predictors.cos", {"threshold": []}, ["predictors.cos.threshold: []"]),
        ("predictors.cos.threshold", math.nan, ["predictors.cos.threshold: .nan", "not a finite number"]),
        ("predictors.cos.threshold", [0.1, [0.1, math.inf]], ["predictors.cos.threshold[1][1]: .inf"]),
        ("predictors.min_norm.p", math.nan, ["predictors.min_norm.p: .nan"]),
        ("predictors.kmeans.clusters", [4.0], ["predictors.kmeans.clusters[0]: 4.0", "write 4 without a point"]),
        ("prunings.0.final", math.inf, ["prunings[0].final: .inf", "not a finite number"]),
        ("prunings.0.lambda", [0.1, math.nan], ["prunings[0].lambda[1]: .nan", "not a finite number"]),
        ("prunings.0.lambda", [0.1, "1e-1"], ["prunings[0].lambda[1]: '1e-1'", "write 1.0e-1;"]),
        ("prunings.0.temperature", "5e-4", ["prunings[0].temperature: '5e-4'", "write 5.0e-4;"]),
        ("prunings.0.mode", "treshold", ["prunings[0].mode: 'treshold'", "did you mean threshold?"]),
        ("train_mlm.learning_rate", math.inf, ["train_mlm.learning_rate: .inf", "not a finite number"]),
        ("prepare_code.negatives", math.inf, ["prepare_code.negatives: .inf"]),
        ("figures.heatmap.sparsity", math.nan, ["figures.heatmap.sparsity: .nan"]),
        ("train_mlm.bf16", "True", ["train_mlm.bf16: 'True'", "write true without quotes"]),
        ("corpus", 2016, ["corpus: 2016 is not allowed", "write '2016' in quotes"]),
        ("corpora", {"a/b": None}, ["corpora.a/b: not allowed as a name", "letters, digits, dots and hyphens"]),
        ("corpora", {2016: None}, ["corpora.2016: its key is 2016; allowed: text"]),
        ("corpus", "x" * 5000, ["corpus: 'xxx", "… is not allowed; allowed: a name of at most 100"]),
        ("figures.heatmap.predictor", ["kmeans"], ["figures.heatmap.predictor: ['kmeans'] is not allowed"]),
        ("device", "cpu\n", ["device: 'cpu\\n' is not allowed"]),
        ("corpus", "mine\n", ["corpus: 'mine\\n' is not allowed", "letters, digits, dots and hyphens"]),
        ("attentions", ["entmax~1.5\n"], ["attentions[0]: 'entmax~1.5\\n' is not allowed"]),
        ("attentions", ["entmax~1.0000000000000000001"], ["attentions[0]: 'entmax~1.0", "at most 15 decimal places"]),
        ("threads.train", 10**9, ["threads.train: 1000000000", "at most 1024"]),
        ("time_attention.threads", 10**9, ["time_attention.threads: 1000000000", "at most 1024"]),
        ("evaluate.windows", [0, 10**23 - 1], ["evaluate.windows[1]: 9999", "at most 2147483647"]),
        ("train_mlm.steps", 10**400, ["train_mlm.steps: 1000", "at most 2147483647"]),
        ("models", {"m" * 256: None}, ["not allowed as a name; allowed: a name of at most 100 letters"]),
        # a check that builds on what the schema refused must not stop the others
        ("predictors.xattention.stride", 0, ["predictors.xattention.stride: 0", "at least 1"]),
        ("fit_clusters.source", "x" * 5000, ["fit_clusters.source: /", "xxx", "File name too long"]),
        (
            "fit_clusters.source",
            "~no-such-user/x",
            ["fit_clusters.source: ~no-such-user/x: the home folder is not known"],
        ),
        ("fit_clusters.source", "a\0b", ["fit_clusters.source: a\\x00b: contains a null character"]),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_bad_value_is_named_with_what_is_allowed(config, key, value, words):
    put(config, key, value)
    text = complaint(config)
    for word in words:
        assert word in text


def test_all_problems_come_at_once_with_their_files(config, tmp_path):
    overlay = tmp_path / "mine.yaml"
    overlay.write_text("train_mlm: {steps: -1}\nevaluate: {windows: [-3]}\n")
    put(config, "train_mlm.steps", -1)
    put(config, "evaluate.windows", [-3])
    put(config, "blocks.length", 1)
    put(config, "prepare.split.train", 0.9)
    text = complaint(config, [FILE, str(overlay)])
    assert f"{overlay}: train_mlm.steps: -1" in text
    assert f"{overlay}: evaluate.windows[0]: -3" in text
    assert f"{SHOWN}: blocks.length: 1" in text
    assert f"{SHOWN}: prepare.split: train, validation and test sum to 1" in text


@pytest.mark.parametrize(
    ("overlay", "line"),
    [
        (
            "blocks: {length: 128}",
            "blocks.min_length: 256 is above blocks.length, 128 (blocks.length is set in mine.yaml)",
        ),
        ("prepare_code: {max_lines: 2}", "prepare_code.max_lines is set in mine.yaml"),
        (
            "evaluate: {windows: [3]}",
            "figures.window: 0 is not in evaluate.windows; allowed: 3 (evaluate.windows is set in",
        ),
        ("predictors: {kmeans: null}", "(predictors.kmeans is set in mine.yaml)"),
        ("figures: {window: 4}", "  mine.yaml: figures.window: 4 is not in evaluate.windows"),
        ("predictors: {kmeans: {clusters: 2, top: 5}}", "  mine.yaml: predictors.kmeans.top: 5 is above clusters 2"),
        ("prepare: {split: {train: 0.9}}", "  mine.yaml: prepare.split: train, validation and test sum to 1"),
        ("corpora: {mine: {path: x}}", "  mine.yaml: corpora.mine.format: is missing"),
        ("train_mlm: null", "  mine.yaml: train_mlm: null is not allowed"),
        ("prunings: [{mode: topk}]", "  mine.yaml: prunings[0].final: is missing"),
    ],
)
def test_the_error_names_the_overlay_that_set_the_value(config, tmp_path, monkeypatch, overlay, line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(overlay + "\n")
    update_config(config, yaml.safe_load(overlay))
    assert line in complaint(config, [FILE, "mine.yaml"])


@pytest.mark.parametrize(
    ("overlay", "line"),
    [
        (
            "prunings: [{mode: topk, final: 0.2, lambda: 0.3}]",
            "mine.yaml: prunings[0].lambda: has no effect with mode topk; allowed: no lambda, or a mode that uses it",
        ),
        (
            "prunings: [{mode: [topk, random], final: 0.2, temperature: [0.1, 0.2]}]",
            "no effect with mode topk or random",
        ),
        ("prunings: [{mode: random, final: 0.2, score: cls}]", "prunings[0].score: has no effect with mode random"),
        (
            "train_mlm: {anneal: {start: 1.1, steps: 1000}}",
            "mine.yaml: train_mlm.anneal.steps: 1000 is above train_mlm.steps, 150, so alpha would not reach its value",
        ),
        ("start_from: {}", "mine.yaml: start_from: {} changes nothing; allowed: null, or a mapping with keys"),
        (
            "corpora: {wiki-2016: {text_column: body}}",
            "corpora.wiki-2016.text_column: has no effect with format mediawiki; allowed: only with format datasets",
        ),
        (
            "code_corpora: {pypi-bandit: {patches: [a]}}",
            "code_corpora.pypi-bandit.patches: has no effect with format bandit; allowed: only with format debian",
        ),
    ],
)
def test_a_setting_without_effect_is_refused(config, tmp_path, monkeypatch, overlay, line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(overlay + "\n")
    update_config(config, yaml.safe_load(overlay))
    text = complaint(config, [FILE, "mine.yaml"])
    assert line in text and len(text.splitlines()) == 2


def test_a_setting_with_an_effect_in_one_of_its_combinations_is_allowed(config):
    put(config, "train_mlm.anneal", {"start": 1.1, "steps": 150})
    config["prunings"] = [
        {"mode": ["threshold", "topk"], "final": 0.2, "lambda": [0.1, 0.3]},
        {"mode": "topk", "final": 0.3, "lambda": 0.0, "target": None},
    ]
    settings.validate(config, Origins(), REGISTRY, ROOT)


def test_a_refused_value_is_reported_once(config):
    put(config, "evaluate.windows.0", "none")
    put(config, "predictors.kmeans.top", 0.5)
    assert [line.split(": ")[1] for line in complaint(config).splitlines()[1:]] == [
        "evaluate.windows[0]", "predictors.kmeans.top",
    ]  # fmt: skip


def test_of_a_pruning_with_an_unknown_mode_only_the_mode_is_reported(config):
    config["prunings"] = [{"mode": "entropy"}]
    assert [line for line in complaint(config).splitlines() if "prunings" in line and "final" in line] == []
    assert "prunings[0].mode: 'entropy' is not allowed; allowed: threshold | manual" in complaint(config)


def test_each_missing_key_is_reported_once(config):
    del config["train_mlm"]["steps"], config["train_mlm"]["batch_size"]
    text = complaint(config)
    assert text.count("train_mlm.steps: is missing") == 1
    assert text.count("train_mlm.batch_size: is missing") == 1


def test_null_turns_a_predictor_off(config):
    before = copy.deepcopy(config)
    config["predictors"]["bigbird"] = None
    settings.validate(config, Origins(), REGISTRY, ROOT)
    assert before["predictors"]["bigbird"] is not None


def test_a_path_becomes_a_source_of_its_own(config, tmp_path):
    text = tmp_path / "mine.txt"
    text.write_text("words")
    config["corpora"]["mine"] = {"path": str(text), "format": "text"}
    config["corpus"] = "mine"
    settings.validate(config, Origins(), REGISTRY, ROOT)
    source = settings.selected_dataset(config, REGISTRY, "corpus")
    assert (source.name, source.version, source.local_files()) == ("mine-text", "local", [str(text)])


def listed(config, kind, tmp_path):
    """Return a registry with a data set at a path of the user's own, and select it."""
    if kind == "archive":
        config["start_from"] = {"stage": "tables", "dataset": "mine"}
    else:
        config["corpora"]["mine"] = {"dataset": "mine", "format": "text"}
        config["corpus"] = "mine"
    return {**REGISTRY, "mine": {"kind": kind, "version": "1", "source": {"type": "path", "path": f"{tmp_path}/a.txt"}}}


@pytest.mark.parametrize("kind", ["text", "archive"])
def test_a_data_set_at_a_path_of_the_users_own_must_exist(config, tmp_path, kind):
    registry = listed(config, kind, tmp_path)
    with pytest.raises(InputError, match=rf"datasets\.mine\.source\.path: {tmp_path}/a\.txt: no such file"):
        settings.validate(config, Origins(), registry, ROOT)
    (tmp_path / "a.txt").write_text("words")
    settings.validate(config, Origins(), registry, ROOT)


def test_each_file_of_a_folder_of_texts_is_watched(config, tmp_path):
    config["corpora"]["mine"] = {"path": str(tmp_path / "texts"), "format": "text"}
    config["corpus"] = "mine"
    (tmp_path / "texts").mkdir()
    assert "corpora.mine.path" in complaint(config) and "contains no file" in complaint(config)
    for name in ("b.txt", "a.txt", ".hidden"):
        (tmp_path / "texts" / name).write_text("words")
    files = settings.selected_dataset(config, REGISTRY, "corpus").local_files()
    assert [Path(file).name for file in files] == ["a.txt", "b.txt"]
    config["corpora"]["mine"]["path"] = str(tmp_path / "texts" / "*.txt")
    assert settings.selected_dataset(config, REGISTRY, "corpus").local_files() == files


def test_caches_of_a_saved_data_set_are_not_inputs(config, tmp_path):
    for name in ("data-00000-of-00001.arrow", "cache-0123.arrow"):
        (tmp_path / name).touch()
    config["corpora"]["mine"] = {"path": str(tmp_path), "format": "datasets"}
    put(config, "corpus", "mine")
    files = settings.selected_dataset(config, REGISTRY, "corpus").local_files()
    assert [Path(file).name for file in files] == ["data-00000-of-00001.arrow"]


def test_a_trained_model_needs_a_new_name_and_provides_the_tokenizer(config, tmp_path):
    config["train_mlm"]["source"] = str(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    assert "model: 'minilm-l6' is a name in models" in complaint(config)
    config["model"] = "trained"
    settings.validate(config, Origins(), REGISTRY, ROOT)
    assert settings.selected_dataset(config, REGISTRY, "model").entry["source"] == {
        "type": "path",
        "path": str(tmp_path),
        "trained": True,
    }


def test_a_trained_classifier_is_not_trained_anew(config, tmp_path):
    config["train_classifier"]["source"], config["classifier"] = str(tmp_path), "trained"
    (tmp_path / "config.json").write_text("{}")
    settings.validate(config, Origins(), REGISTRY, ROOT)
    config["export_pruned"]["retrain"] = True
    assert "export_pruned.retrain: true is not allowed with a trained classifier" in complaint(config)


def test_a_dump_needs_a_new_name_and_no_corpus(config, tmp_path):
    for name in ("train.pt", "validation.pt"):
        (tmp_path / name).touch()
    config["extract_qk"]["source"] = str(tmp_path / "train.pt")
    assert "corpus: 'wiki-2016' is a name in corpora" in complaint(config)
    config["corpus"], config["model"] = "my-dump", "my-model"
    settings.validate(config, Origins(), REGISTRY, ROOT)
    config["attentions"] = ["entmax~1.5", "entmax~2"]
    assert "attentions: more than one entmax~A is not allowed" in complaint(config)
    config["attentions"] = ["entmax~1.5"]
    config["extract_qk"]["source"] = {"train": str(tmp_path / "train.pt"), "validation": f"{tmp_path}/./train.pt"}
    assert "extract_qk.source" in complaint(config)
    config["extract_qk"]["source"]["validation"] = str(tmp_path / "validation.pt")
    settings.validate(config, Origins(), REGISTRY, ROOT)


def test_imported_results_are_retrieved_for_their_corpus(config):
    assert settings.imported(config) == {}
    config["extract_qk"]["source"] = "one.pt"
    assert [source.receipt for source in settings.imported(config).values()] == [
        "resources/wiki-2016-dump/local/receipt.json"
    ]
    config["extract_qk"]["source"] = {"train": "a.pt", "validation": "b.pt"}
    config["fit_projections"]["source"], config["fit_clusters"]["source"] = "p.pt", "c.pt"
    brought = settings.imported(config)
    assert {name: source.entry["source"]["path"] for name, source in brought.items()} == {
        "train": "a.pt", "validation": "b.pt", "projections": "p.pt", "clusters": "c.pt",
    }  # fmt: skip


def own_model(folder, **changes):
    content = {"model_type": "roberta", "num_hidden_layers": 2, "max_position_embeddings": 130, "pad_token_id": 1}
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(content | changes))
    return {"path": str(folder)}


def test_the_limits_of_a_users_model_are_checked_before_any_job(config, tmp_path):
    config["models"]["mine"] = own_model(tmp_path / "model")
    put(config, "model", "mine")
    put(config, "classifier", "mine")
    put(config, "blocks", {"length": 129, "min_length": 129})
    errors = complaint(config)
    assert f"blocks.length: 129 is more than the model in {tmp_path}/model can read; allowed: at most 128" in errors
    assert "train_classifier.longformer.layers: 4 is not allowed; allowed: from 1 to the 2 of the model in" in errors
    assert len(errors.splitlines()) == 3
    put(config, "blocks", {"length": 128, "min_length": 128})
    put(config, "train_classifier.longformer.layers", 2)
    settings.validate(config, read_origins([FILE]), REGISTRY, ROOT)


DIMENSIONS = {"layers": 6, "heads": 12, "head_dim": 32, "vocabulary": 30522, "positions": 512}


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("blocks.length", 100000, "blocks.length: 100000 is more than all-minilm-l6-v2 can read; allowed: at most 512"),
        ("train_classifier.longformer.layers", 99, "longformer.layers: 99 is not allowed; allowed: from 1 to the 6 of"),
        ("predictors.pca.dim", [4, 33], "predictors.pca.dim: 33 is not allowed; allowed: at most 32, the size of a"),
        ("predictors.sparq.channels", 33, "predictors.sparq.channels: 33 is not allowed; allowed: at most 32"),
        ("predictors.cos.threshold", [0.3, [0.1, 0.2]], "cos.threshold: a list of 2 is not allowed for 12 heads"),
        (
            "evaluate_sparse_mlm.points.cos",
            [{"threshold": [[0.1, 0.2]]}],
            "evaluate_sparse_mlm.points.cos[0].threshold: a list of 2 is not allowed for 12 heads; allowed: one number",
        ),
        ("show_pruning.language", "klingon", "show_pruning.language: 'klingon' is not allowed; allowed: a language of"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else None,
)
def test_what_the_registry_says_of_a_model_is_checked_before_any_job(config, key, value, line):
    registry = {**REGISTRY, "all-minilm-l6-v2": {**REGISTRY["all-minilm-l6-v2"], "dimensions": DIMENSIONS}}
    config["predictors"]["cos"]["threshold"].append([0.1] * 12)
    settings.validate(config, Origins(), registry, ROOT)
    put(config, key, value)
    with pytest.raises(InputError) as error:
        settings.validate(config, Origins(), registry, ROOT)
    assert line in str(error.value) and len(str(error.value).splitlines()) == 2


@pytest.mark.parametrize(("name", "longest"), [("roberta-base", 512), ("longformer-base-4096", 4096)])
def test_of_a_model_that_counts_positions_after_the_padding_the_usable_ones_are_stated(name, longest, config):
    registry = {**REGISTRY, name: yaml.safe_load((ROOT / "config/datasets.yaml").read_text(encoding="utf-8"))[name]}
    config["models"]["theirs"] = {"dataset": name}
    put(config, "model", "theirs")
    config["blocks"] |= {"length": longest, "min_length": longest}
    settings.validate(config, Origins(), registry, ROOT)
    config["blocks"]["length"] += 1
    with pytest.raises(InputError, match=f"blocks.length: {longest + 1} is more than {name} can read"):
        settings.validate(config, Origins(), registry, ROOT)


def test_a_classifier_with_its_own_architecture_reads_no_more_tokens_than_the_registry_says(config):
    registry = {**REGISTRY, "all-minilm-l6-v2": {**REGISTRY["all-minilm-l6-v2"], "dimensions": DIMENSIONS}}
    put(config, "tokenise_code.max_tokens", 1000)
    # a Longformer gets as many positions as are asked for
    settings.validate(config, Origins(), registry, ROOT)
    put(config, "train_classifier.longformer", None)
    with pytest.raises(InputError, match=r"tokenise_code\.max_tokens: 1000 is more than all-minilm-l6-v2 can read"):
        settings.validate(config, Origins(), registry, ROOT)


@pytest.mark.parametrize("section", ["fit_projections", "fit_clusters"])
def test_imported_layers_are_counted_before_any_job(section, config, tmp_path):
    config["models"]["mine"] = own_model(tmp_path / "model", max_position_embeddings=300)
    put(config, "model", "mine")
    ending = "" if section == "fit_clusters" else ".both.w"
    numbers = {f"layer~{layer}{ending}": np.ones(2, dtype=np.float32) for layer in range(3)}
    save_file(numbers, tmp_path / "three.safetensors")
    put(config, f"{section}.source", str(tmp_path / "three.safetensors"))
    assert f"{section}.source: 3 layers; allowed: 2, as many as the model in {tmp_path}/model has" in complaint(config)
    save_file({name: numbers[name] for name in list(numbers)[:2]}, tmp_path / "two.safetensors")
    (tmp_path / "other.pt").write_bytes(b"PK\x03\x04 is no safetensors file")
    (tmp_path / "damaged.safetensors").write_bytes((tmp_path / "three.safetensors").read_bytes()[:20])
    (tmp_path / "list.safetensors").write_bytes((4).to_bytes(8, "little") + b"[12]")
    for name in ("two.safetensors", "other.pt", "damaged.safetensors", "list.safetensors"):
        put(config, f"{section}.source", str(tmp_path / name))
        settings.validate(config, Origins(), REGISTRY, ROOT)


def test_the_error_for_an_unreadable_model_names_its_key(config, tmp_path):
    config["models"]["mine"] = own_model(tmp_path / "model", num_hidden_layers="2")
    put(config, "model", "mine")
    errors = complaint(config)
    assert "models.mine.path" in errors and "num_hidden_layers: '2' is not allowed; allowed: a whole" in errors


@pytest.mark.parametrize("selection", ["model", "classifier"])
def test_a_model_of_custom_code_is_refused_before_any_job(selection, config, tmp_path):
    config["models"]["mine"] = own_model(tmp_path / "model", model_type="own", auto_map={"AutoConfig": "own.Config"})
    put(config, selection, "mine")
    errors = complaint(config)
    assert "models.mine.path" in errors
    assert "config.json: auto_map names custom code (own.Config), which is never run; allowed: a model_type" in errors


def test_a_tokenizer_of_custom_code_is_refused_before_any_job(config, tmp_path):
    config["models"]["mine"] = own_model(tmp_path / "model", max_position_embeddings=300)
    code = {"auto_map": {"AutoTokenizer": ["own.Tokenizer", None]}}
    (tmp_path / "model/tokenizer_config.json").write_text(json.dumps(code))
    put(config, "model", "mine")
    assert "tokenizer_config.json: auto_map names custom code (own.Tokenizer), which is never run" in complaint(config)


def test_a_model_whose_code_is_in_the_library_is_allowed(config, tmp_path):
    code = {"AutoConfig": "own.Config"}
    config["models"]["mine"] = own_model(tmp_path / "model", max_position_embeddings=300, auto_map=code)
    put(config, "model", "mine")
    settings.validate(config, read_origins([FILE]), REGISTRY, ROOT)


def test_the_length_limit_of_a_trained_classifier_is_checked(config, tmp_path):
    put(config, "train_classifier.source", own_model(tmp_path / "model")["path"])
    put(config, "classifier", "my-classifier")
    assert "tokenise_code.max_tokens: 256 is more than the model in" in complaint(config)
