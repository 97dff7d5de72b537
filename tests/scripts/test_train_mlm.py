"""The training script: what it writes, that it resumes to the byte, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from transformers import AutoModelForMaskedLM, AutoTokenizer

import train_mlm
from sparse_attention.data.fetch import retrieve
from sparse_attention.files.tables import read_table
from sparse_attention.training.trainer import MaskedLMTrainer
from terminating import send_sigterm_in
from token_blocks import OPTIONS, write_blocks

LOCAL = {"kind": "model", "version": "local"}
RESULTS = ("model/model.safetensors", "model/config.json", "training.tsv", "evaluation.tsv", "sparsity.tsv")


@pytest.fixture(scope="module")
def inputs(tiny_inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Return blocks of random tokens and the receipt of the tiny model."""
    folder = tmp_path_factory.mktemp("inputs")
    model = tiny_inputs / "model"
    retrieve("tiny", {**LOCAL, "source": {"type": "path", "path": str(model)}}, folder / "receipt.json")
    blocks = write_blocks(folder, train=20, validation=8)
    return SimpleNamespace(
        blocks=str(blocks), info=str(blocks.with_suffix(".json")), model=str(folder / "receipt.json")
    )


@pytest.fixture
def job(inputs: SimpleNamespace, tmp_path: Path):
    """Return a function that runs the script into a folder of its own."""

    def run(
        name: str = "out", attention: str = "entmax~1.5", seed: int = 1, trained: Path | None = None, **changes: object
    ) -> Path:
        out = tmp_path / name
        given = SimpleNamespace(**vars(inputs))
        if trained:
            given.model = str(tmp_path / "receipt.json")
            changes["source"] = str(trained)
            retrieve("mine", {**LOCAL, "source": {"type": "path", "path": str(trained)}}, Path(given.model))
        outputs = {
            "model": "model",
            "training": "training.tsv",
            "evaluation": "evaluation.tsv",
            "sparsity": "sparsity.tsv",
            "kernel": "kernel.json",
        }
        params = {"attention": attention, "seed": seed, "options": {**OPTIONS, **changes}}
        params |= {"device": "cpu", "kernels": "auto", "threads": 1, "resume": str(out / "resume")}
        train_mlm.main(
            SimpleNamespace(
                input=given,
                output=SimpleNamespace(**{key: str(out / file) for key, file in outputs.items()}),
                params=SimpleNamespace(**params),
            )
        )
        return out

    return run


@pytest.mark.parametrize("attention", ["entmax~1.5", "softmax"])
def test_outputs(attention, job):
    out = job(attention=attention)
    model = AutoModelForMaskedLM.from_pretrained(out / "model", local_files_only=True)
    assert model.config.sparse_attention["kind"] == attention.split("~")[0]
    assert AutoTokenizer.from_pretrained(out / "model").mask_token == "[MASK]"
    training = read_table(out / "training.tsv", ["step", "phase", "loss", "learning_rate", "alpha"])
    assert training[training.phase == "validation"].step.tolist() == [0, 2, 4]
    evaluation = read_table(
        out / "evaluation.tsv", ["loss", "perplexity", "bits_per_character", "accuracy", "unigram_loss"]
    )
    assert evaluation.stage.tolist() == ["before", "after"]
    assert evaluation.loss.tolist() == training[training.phase == "validation"].loss.iloc[[0, -1]].tolist()
    sparsity = read_table(out / "sparsity.tsv", ["layer", "head", "gold_sparsity"])
    assert len(sparsity) == 4 and sparsity.gold_sparsity.between(0, 1).all()
    assert not (out / "resume").exists()


def test_a_terminated_job_resumes_to_the_same_bytes(job, monkeypatch):
    whole = job("whole")
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        send_sigterm_in(3, MaskedLMTrainer, patch)
        job("parts")
    assert not (whole.parent / "parts" / "model").exists()
    parts = job("parts")
    for file in RESULTS:
        assert (parts / file).read_bytes() == (whole / file).read_bytes(), file


def test_both_attentions_are_measured_on_the_same_masks(job):
    tables = [read_table(job(kind, kind, steps=1) / "evaluation.tsv") for kind in ("softmax", "entmax~1.5")]
    assert tables[0].masked_tokens.tolist() == tables[1].masked_tokens.tolist()
    assert tables[0].loss[0] != tables[1].loss[0]


def test_a_trained_model_is_measured_as_it_is(job, tmp_path):
    trained = job("trained")
    out = job("measured", trained=trained / "model")
    assert (out / "model/model.safetensors").read_bytes() == (trained / "model/model.safetensors").read_bytes()
    before, after = read_table(out / "evaluation.tsv").to_dict("records")
    assert before["loss"] == after["loss"] == read_table(trained / "evaluation.tsv").loss[1]
    assert read_table(out / "training.tsv").step.tolist() == [0]
