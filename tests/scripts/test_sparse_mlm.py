"""The scripts that run, train and save a language model under predicted attention."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy

import evaluate_full_mlm
import evaluate_sparse_mlm
import export_sparse_model
import finetune_full_mlm
import finetune_sparse_mlm
from sparse_attention.clusters.centroids import Centroids
from sparse_attention.data.blocks import Blocks
from sparse_attention.errors import InputError
from sparse_attention.files.tables import read_table
from sparse_attention.models.hub import copy_tokenizer
from sparse_attention.models.masked_lm import load_masked_lm
from sparse_attention.sparse_models.folder import load_sparse_model
from sparse_attention.sparse_models.validation import Validation
from sparse_attention.training.trainer import MaskedLMTrainer
from terminating import send_sigterm_in
from token_blocks import OPTIONS, write_blocks

VALIDATION = {"count": 4, "batch_size": 2, "mask_probability": 0.3}
POINT = {"top": 1, "window": 3, "keep": "cls", "dense_empty_rows": False}


@pytest.fixture(scope="module")
def inputs(tiny_inputs, tmp_path_factory):
    """Return the inputs of a job with k-means on unprojected queries and keys."""
    folder = tmp_path_factory.mktemp("inputs")
    model = load_masked_lm(tiny_inputs / "model", "entmax~1.5")
    model.save_pretrained(folder / "model")
    copy_tokenizer(tiny_inputs / "model", folder / "model")
    config = model.config
    shape = config.num_attention_heads, 1, 3, config.hidden_size // config.num_attention_heads
    generator = torch.Generator().manual_seed(0)
    layers = [torch.randn(*shape, generator=generator).double() for _ in range(config.num_hidden_layers)]
    Centroids(tuple(layers)).save(folder / "centroids.safetensors")
    blocks = write_blocks(folder, train=20, validation=8)
    return SimpleNamespace(
        blocks=str(blocks),
        model=str(folder / "model"),
        centroids=str(folder / "centroids.safetensors"),
        projections=[],
        qk_train=[],
        gold_train=[],
    )


class Inputs(SimpleNamespace):
    """Named inputs that can be iterated, as Snakemake's can."""

    def __iter__(self):
        for value in vars(self).values():
            yield from [value] if isinstance(value, str) else value


@pytest.fixture
def job(inputs, tmp_path):
    def run(script, name="out", outputs=("losses.tsv", "heads.tsv"), **changes):
        out = tmp_path / name
        params = {
            "threads": 1, "attention": "entmax~1.5", "device": "cpu", "kernels": "auto", "seed": 1, "block_size": 1,
            "predictor": "kmeans", "fixed": {"clusters": 3, "runs": 1}, "points": [POINT, {**POINT, "top": 3}],
            "single": POINT, "validation": VALIDATION, "options": {**OPTIONS}, "parameters": "all", "name": "a model",
            "resume": str(out / "resume"), **changes,
        }  # fmt: skip
        found = {Path(file).stem: str(out / file) for file in outputs}
        script.main(
            SimpleNamespace(
                input=Inputs(**vars(inputs)), output=SimpleNamespace(**found), params=SimpleNamespace(**params)
            )
        )
        return out

    return run


TRAINED = ("training.tsv", "losses.tsv", "heads.tsv", "model")


def test_points_of_a_predictor_are_evaluated_beside_full_attention(job):
    full = read_table(job(evaluate_full_mlm, "full", ["losses.tsv"]) / "losses.tsv")
    out = job(evaluate_sparse_mlm)
    losses, heads = read_table(out / "losses.tsv"), read_table(out / "heads.tsv")
    assert list(losses["setting"].unique()) == ["clusters~3_runs~1_top~1", "clusters~3_runs~1_top~3"]
    everything = losses[losses["setting"] == "clusters~3_runs~1_top~3"]  # every key is in one of a query's clusters
    assert list(everything["loss"]) == pytest.approx(list(full["loss"]), rel=1e-5)
    for name in ("block", "document", "masked_tokens"):
        assert list(everything[name]) == list(full[name])
    assert (losses["window"] == 3).all() and (losses["keep"] == "cls").all() and not losses["dense_empty_rows"].any()
    exact = heads.groupby("setting")["exactness"].mean()
    assert exact["clusters~3_runs~1_top~3"] == 1 and exact["clusters~3_runs~1_top~1"] < 1


def test_an_exported_model_has_the_loss_of_the_evaluation(job, inputs):
    losses = read_table(job(evaluate_sparse_mlm) / "losses.tsv")
    folder = job(export_sparse_model, "exported", ["model"]) / "model"
    assert "predictor | kmeans" in (folder / "README.md").read_text()
    found = losses_of(load_sparse_model(folder), inputs.blocks)
    wanted = losses[losses["setting"] == "clusters~3_runs~1_top~1"]["loss"]
    assert found == pytest.approx(list(wanted), rel=1e-6)


def losses_of(model, blocks):
    """Return the losses by block of a loaded model, computed by the model's own forward pass."""
    found = []
    for batch in Validation(Blocks.load(blocks), **VALIDATION).batches():
        with torch.no_grad():
            logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        found += [float(cross_entropy(row, labels)) for row, labels in zip(logits, batch["labels"], strict=True)]
    return found


@pytest.mark.parametrize("script", [finetune_sparse_mlm, finetune_full_mlm], ids=["predicted", "full"])
def test_a_terminated_training_resumes_to_the_same_bytes(script, job, monkeypatch):
    outputs = TRAINED if script is finetune_sparse_mlm else ("training.tsv", "losses.tsv")
    whole = job(script, "whole", outputs)
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        send_sigterm_in(3, MaskedLMTrainer, patch)
        job(script, "parts", outputs)
    parts = job(script, "parts", outputs)
    for file in (path.relative_to(whole) for path in whole.rglob("*") if path.is_file()):
        assert (parts / file).read_bytes() == (whole / file).read_bytes(), file
    assert not (parts / "resume").exists()


def test_training_changes_the_weights_and_keeps_the_predictors(job, inputs):
    out = job(finetune_sparse_mlm, outputs=TRAINED)
    before, after = (load_file(Path(folder) / "model.safetensors") for folder in (inputs.model, out / "model"))
    name = next(name for name in after if name.endswith("self.query.weight"))
    assert not torch.equal(before[name], after[name])
    model = load_sparse_model(out / "model")
    assert torch.equal(
        model.predicted.predictors[0].context.centroids.layers[1], Centroids.load(inputs.centroids).layers[1]
    )
    assert list(read_table(out / "training.tsv")["phase"].unique()) == ["train", "validation"]


def test_maps_to_queries_and_keys_can_stay_as_they_are(job, inputs):
    out = job(finetune_sparse_mlm, outputs=TRAINED, parameters="all_but_query_key")
    before, after = (load_file(Path(folder) / "model.safetensors") for folder in (inputs.model, out / "model"))
    same = {name for name in after if torch.equal(before[name], after[name])}
    kept = {name for name in after if ".self.query." in name or ".self.key." in name}
    assert kept <= same and not any(".self.value.weight" in name for name in same)


def test_a_list_of_settings_per_head_needs_one_value_for_each(job):
    point = {**POINT, "threshold": [0.1, 0.2, 0.3]}
    del point["top"]
    with pytest.raises(InputError, match="predictors.cos.threshold: .* has 3 numbers for 2 heads"):
        job(evaluate_sparse_mlm, predictor="cos", fixed={}, points=[point])
