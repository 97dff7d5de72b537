"""Fine-tuning: it learns, its options take effect, and an interrupted run ends in the same bytes."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest
import torch

from sparse_attention.data.blocks import Blocks
from sparse_attention.errors import InputError
from sparse_attention.models.attention import NAME, Attention, set_attention
from sparse_attention.training import resuming
from sparse_attention.training.fine_tuning import train
from sparse_attention.training.options import Anneal, TrainOptions
from sparse_attention.training.resuming import find_resume_point, remove_resume_points
from sparse_attention.training.task import MaskedLMTask
from sparse_attention.training.trainer import MaskedLMTrainer
from terminating import send_sigterm_in

OPTIONS = TrainOptions(
    head="identity",
    steps=6,
    batch_size=8,
    accumulation=1,
    learning_rate=3e-3,
    schedule="linear",
    warmup_steps=2,
    weight_decay=0.01,
    adam_epsilon=1e-6,
    max_grad_norm=1.0,
    mask_probability=0.15,
    dropout=None,
    anneal=Anneal(None, 0),
    eval_steps=3,
    eval_blocks=6,
    eval_batch_size=4,
    save_steps=2,
    bf16=False,
    compile=False,
)


@pytest.fixture
def run(make_model, corpus, tmp_path):
    """Return a function that trains a fresh tiny model and gives the model, its table and its losses."""

    def run(family="bert", attention="entmax~1.5", seed=1, resume=None, **changes):
        options = replace(OPTIONS, **changes)
        model = make_model(family, initializer_range=0.05)
        model.set_attn_implementation(NAME)
        set_attention(model, Attention.parse(attention))
        task = MaskedLMTask(corpus, model, options, seed)
        folder = resume or tmp_path / "resume"
        torch.manual_seed(seed)
        fingerprint = {"options": asdict(options), "seed": seed, "attention": attention, "family": family}
        return model, *train(model, task, Attention.parse(attention), folder, fingerprint)

    return run


def same_weights(one, other) -> bool:
    return all(torch.equal(weight, other.state_dict()[name]) for name, weight in one.state_dict().items())


@pytest.mark.parametrize("attention", ["entmax~1.5", "softmax"])
@pytest.mark.parametrize("family", ["bert", "roberta", "modernbert"])
def test_every_family_learns(family, attention, run, tmp_path):
    _, table, losses = run(family, attention, steps=40, learning_rate=1e-2, eval_steps=40, save_steps=100, dropout=0.0)
    train_losses = table[table.phase == "train"].loss
    assert train_losses.iloc[-5:].mean() < train_losses.iloc[:5].mean() - 0.2
    assert losses.loss == table[table.phase == "validation"].loss.iloc[-1]


def test_table_holds_every_step_and_validation(run):
    _, table, _ = run()
    assert list(table.columns) == ["step", "phase", "loss", "learning_rate", "alpha"]
    assert table[table.phase == "train"].step.tolist() == [1, 2, 3, 4, 5, 6]
    assert table[table.phase == "validation"].step.tolist() == [3, 6]


def test_the_last_step_is_measured_whatever_eval_steps_says(run):
    _, table, losses = run(steps=4, eval_steps=3)
    assert table[table.phase == "validation"].step.tolist() == [3, 4]
    assert losses.blocks == 6 and losses.masked_tokens > 0


@pytest.mark.parametrize(
    "schedule, expected",
    [
        ("linear", [0, 0.5, 1, 0.75, 0.5, 0.25]),
        ("constant", [0, 0.5, 1, 1, 1, 1]),
        ("cosine", [0, 0.5, 1, 0.853553, 0.5, 0.146447]),
    ],
)
def test_schedules(schedule, expected, run):
    _, table, _ = run(schedule=schedule, learning_rate=1e-3)
    rates = table[table.phase == "train"].learning_rate / 1e-3
    assert rates.tolist() == pytest.approx(expected, abs=1e-5)


def test_alpha_rises_linearly_to_that_of_the_model(run):
    model, table, _ = run(anneal=Anneal(1.1, 4))
    assert table[table.phase == "train"].alpha.tolist() == pytest.approx([1.1, 1.2, 1.3, 1.4, 1.5, 1.5])
    assert model.config.sparse_attention == {"kind": "entmax", "alpha": 1.5}


def test_softmax_is_not_annealed(run):
    _, table, _ = run(attention="softmax", anneal=Anneal(1.1, 4))
    assert table.alpha.eq(1).all()


def test_accumulated_batches_weigh_every_masked_token_alike(run, tmp_path):
    settings = {"dropout": 0.0, "steps": 3, "save_steps": 10}
    whole, one, _ = run(batch_size=8, accumulation=1, resume=tmp_path / "a", **settings)
    parts, two, _ = run(batch_size=2, accumulation=4, resume=tmp_path / "b", **settings)
    assert two.loss.tolist() == pytest.approx(one.loss.tolist(), abs=1e-3)
    for name, weight in whole.state_dict().items():
        assert torch.allclose(weight, parts.state_dict()[name], atol=2e-3), name


def test_seeds_change_the_training_and_not_the_validation(run, tmp_path):
    _, one, first = run(seed=1, resume=tmp_path / "a", learning_rate=0.0)
    _, two, second = run(seed=2, resume=tmp_path / "b", learning_rate=0.0)
    assert first == second
    assert one[one.phase == "train"].loss.tolist() != two[two.phase == "train"].loss.tolist()


def test_bf16_stays_near_float32(run, tmp_path):
    _, _, exact = run(resume=tmp_path / "a")
    _, _, half = run(resume=tmp_path / "b", bf16=True)
    assert half.loss == pytest.approx(exact.loss, rel=0.02)


@pytest.mark.parametrize("step", [1, 3, 4])
def test_a_terminated_run_resumes_to_the_same_bytes(step, run, tmp_path, monkeypatch):
    expected, table, losses = run(resume=tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(SystemExit) as stopped:
        send_sigterm_in(step, MaskedLMTrainer, patch)
        run(resume=tmp_path / "parts")
    assert stopped.value.code == 143
    assert (tmp_path / "parts" / f"checkpoint-{step}").is_dir()
    model, again, after = run(resume=tmp_path / "parts")
    assert same_weights(model, expected)
    assert again.equals(table) and after == losses


def test_a_crashed_run_resumes_from_its_last_complete_point(run, tmp_path, monkeypatch):
    expected, table, _ = run(resume=tmp_path / "whole")
    original = MaskedLMTrainer.compute_loss

    def crash(self, *arguments, **options):
        if self.state.global_step == 5:
            raise MemoryError
        return original(self, *arguments, **options)

    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(MaskedLMTrainer, "compute_loss", crash)
        run(resume=tmp_path / "parts")
    half_written = tmp_path / "parts" / "checkpoint-5"
    half_written.mkdir()
    (half_written / "trainer_state.json").write_text('{"global_step": 5')
    model, again, _ = run(resume=tmp_path / "parts")
    assert same_weights(model, expected) and again.equals(table)


def test_a_finished_run_without_results_trains_no_further_step(run, tmp_path, monkeypatch):
    expected, table, losses = run(resume=tmp_path / "resume")
    with monkeypatch.context() as patch:
        patch.setattr(MaskedLMTrainer, "compute_loss", lambda *_, **__: pytest.fail("trained again"))
        model, again, after = run(resume=tmp_path / "resume")
    assert same_weights(model, expected) and again.equals(table) and after == losses


def test_a_resume_point_of_another_training_is_not_used(tmp_path):
    folder = tmp_path / "resume"
    assert find_resume_point(folder, {"seed": 1}) is None
    (folder / "checkpoint-4").mkdir()
    (folder / "checkpoint-4" / "trainer_state.json").write_text(json.dumps({"global_step": 4}))
    assert find_resume_point(folder, {"seed": 1}) == folder / "checkpoint-4"
    assert find_resume_point(folder, {"seed": 2}) is None
    assert not (folder / "checkpoint-4").exists()


def test_blocks_that_do_not_fit_the_model_are_refused(make_model, corpus):
    def task(family="bert", blocks=corpus, **changes):
        MaskedLMTask(blocks, make_model(family, **changes), OPTIONS, 1)

    with pytest.raises(InputError, match=r"token id \d+ is outside the vocabulary of 30 of the model in Bert"):
        task(vocab_size=30)
    with pytest.raises(InputError, match=r"blocks\.length: 24 .* at most 20"):
        task(max_position_embeddings=20)
    with pytest.raises(InputError, match=r"blocks\.length: 24 .* at most 23"):
        task("roberta", max_position_embeddings=25)
    with pytest.raises(InputError, match=r"blocks: token id 60 is outside the vocabulary of 60"):
        task(blocks=Blocks(corpus.tensors, replace(corpus.info, vocabulary=61)))  # masking draws from all of it
    empty = {name: tensor[:0] if name.startswith("validation") else tensor for name, tensor in corpus.tensors.items()}
    with pytest.raises(InputError, match="validation split has no blocks"):
        task(blocks=Blocks(empty, corpus.info))


def test_a_removal_that_is_killed_leaves_nothing_to_resume_from(tmp_path, monkeypatch):
    folder = tmp_path / "resume"
    assert find_resume_point(folder, {"seed": 1}) is None
    point = folder / "checkpoint-2"
    point.mkdir()
    (point / "trainer_state.json").write_text("{}")
    with monkeypatch.context() as patch:
        patch.setattr(resuming.shutil, "rmtree", lambda *_, **__: None)
        remove_resume_points(folder)
    assert point.exists()
    assert find_resume_point(folder, {"seed": 1}) is None and not point.exists()
