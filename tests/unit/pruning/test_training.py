"""Training: it learns, thresholds move only when they should, and an interrupted run ends in the same bytes."""

from __future__ import annotations

import gc
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from transformers import LongformerConfig, LongformerForSequenceClassification, RobertaConfig
from transformers import RobertaForSequenceClassification as Roberta

from sparse_attention.errors import InputError
from sparse_attention.pruning.model import PrunedClassifier
from sparse_attention.pruning.options import StageOptions
from sparse_attention.pruning.prediction import predict
from sparse_attention.pruning.stages import hardened, learned_by, settings_of
from sparse_attention.pruning.thresholds import PruningSettings
from sparse_attention.pruning.training import METRICS, SETTINGS, PruningTrainer, Stage, class_weights, share_kept, train
from terminating import send_sigterm_in
from toy_code import VOCABULARY, code_tokens, toy_functions

OPTIONS = StageOptions(
    epochs=2, batch_size=4, accumulation=1, learning_rate=1e-3, schedule="linear", warmup=0.1, weight_decay=0.01,
    adam_epsilon=1e-8, max_grad_norm=1.0, class_weights=False, dropout=None, eval_steps=None, eval_batch_size=8,
    save_steps=100,
)  # fmt: skip
SIZES = {
    "vocab_size": VOCABULARY, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 24, "max_position_embeddings": 42, "pad_token_id": 1,
}  # fmt: skip
FAMILIES = {
    "longformer": lambda: LongformerForSequenceClassification(LongformerConfig(**SIZES, attention_window=[4, 8])),
    "roberta": lambda: Roberta(RobertaConfig(**SIZES)),
}
SOFT = PruningSettings(final=0.1, temperature=0.02)
LEARN = Stage("soft")
PRUNING = {name: value for name, value in vars(SOFT).items() if name != "seed"}


@pytest.fixture(scope="module", autouse=True)
def quick_collection():
    """Hide the imported libraries from the garbage collector, which Trainer runs in each training."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def tokens():
    return toy_functions()


def make_model(settings: PruningSettings = SOFT, family: str = "longformer") -> PrunedClassifier:
    torch.manual_seed(0)
    return PrunedClassifier(FAMILIES[family](), settings)


@pytest.fixture
def run(tokens, tmp_path):
    """Return a function that trains a fresh tiny model and gives the model and its table."""

    def run(stage=LEARN, settings=SOFT, family="longformer", given=None, resume="resume", seed=1, **changes):
        ours = {name: value for name, value in changes.items() if name.startswith("threshold_")}
        others = {name: value for name, value in changes.items() if name not in ours}
        stage = replace(stage, **{"threshold_learning_rate": 1e-2, **ours})
        model, options = make_model(settings, family), replace(OPTIONS, **others)
        torch.manual_seed(seed)
        fingerprint = {"options": asdict(options), "stage": asdict(stage), "seed": seed}
        return model, train(model, given or tokens, stage, options, seed, tmp_path / resume, fingerprint)

    return run


def phase(table, name: str):
    return table[table["phase"] == name].reset_index(drop=True)


def same_weights(one, other) -> bool:
    return all(torch.equal(weight, other.state_dict()[name]) for name, weight in one.state_dict().items())


@pytest.mark.parametrize("family", FAMILIES)
def test_a_dense_stage_learns(family, run):
    given = toy_functions(train=128, validation=16)
    settings = {"epochs": 8, "batch_size": 16, "learning_rate": 1e-2, "dropout": 0.0, "seed": 2}
    model, table = run(Stage("dense"), family=family, given=given, **settings)
    losses, measured = phase(table, "train")["loss"], phase(table, "validation")
    assert losses.iloc[-5:].mean() < 0.2 < 0.5 < losses.iloc[:5].mean()
    assert measured["roc_auc"].iloc[-1] > 0.9 and measured["loss"].iloc[-1] < measured["loss"].iloc[0]
    found = predict(model, given, given.of("validation").tolist(), "dense", 8)
    assert measured["loss"].iloc[-1] == pytest.approx(found.loss()) and not model.training


def test_the_table_holds_every_step_and_validation(run):
    _, table = run(epochs=1, eval_steps=4, learning_rate=1e-2)
    steps, measured = phase(table, "train"), phase(table, "validation")
    assert list(table.columns) == ["step", "phase", *METRICS, *SETTINGS]
    assert steps["step"].tolist() == [1, 2, 3, 4, 5, 6] and measured["step"].tolist() == [4, 6]
    assert steps["learning_rate"].tolist() == pytest.approx([0.0, 1e-2, 8e-3, 6e-3, 4e-3, 2e-3])
    assert steps["kept"].between(0, 1).all() and steps["accuracy"].isna().all()
    assert measured[["loss", "accuracy", "f1", "roc_auc", "kept"]].notna().all(axis=None)
    assert (steps["temperature"] == 0.02).all()


def test_a_dense_stage_does_not_depend_on_the_score(run):
    # so its rule counts none in its digest
    (one, first), (other, second) = (
        run(Stage("dense"), PruningSettings(score=score), resume=score) for score in ("mean", "cls")
    )
    assert same_weights(one, other) and first.equals(second)


def test_validation_is_after_every_epoch_by_default(run):
    assert phase(run(epochs=3)[1], "validation")["step"].tolist() == [6, 12, 18]


@pytest.mark.parametrize(
    ("mode", "stage", "moves"),
    [
        ("threshold", "soft", True),
        ("threshold", "dense", False),
        ("threshold", "hard", False),
        ("manual", "soft", False),
        ("manual", "hard", False),
    ],
)
def test_thresholds_move_in_a_soft_stage_that_learns_them(mode, stage, moves, run):
    settings = PruningSettings(mode, final=0.1, temperature=0.02)
    model, _ = run(Stage(stage, weight=1.0), settings)
    assert (model.thresholds.offset != 0).all() == moves == (model.thresholds.offset != 0).any()
    fresh = make_model(settings)
    assert torch.equal(model.thresholds.base, fresh.thresholds.base)
    assert not same_weights(model.classifier, fresh.classifier), "the classifier learns in every stage"


def test_thresholds_have_a_learning_rate_of_their_own(run):
    model, _ = run(Stage("soft", 1.0), learning_rate=1e-12, threshold_learning_rate=0.1)
    fresh = make_model()
    for name, weight in model.classifier.state_dict().items():
        torch.testing.assert_close(weight, fresh.classifier.state_dict()[name], rtol=0, atol=1e-9)
    assert model.thresholds.offset.abs().min() > 0.1
    still, _ = run(Stage("soft", 1.0), resume="still", threshold_learning_rate=0.0)
    assert (still.thresholds.offset == 0).all() and not same_weights(still.classifier, fresh.classifier)


def test_thresholds_have_a_weight_decay_of_their_own(run):
    settings = {"learning_rate": 1e-3, "threshold_learning_rate": 0.1, "weight_decay": 0.0}
    free, _ = run(Stage("soft", 1.0), resume="free", **settings)
    bound, _ = run(Stage("soft", 1.0), resume="bound", threshold_weight_decay=5.0, **settings)
    assert (bound.thresholds.offset.abs() < 0.8 * free.thresholds.offset.abs()).all()


def last_kept(table) -> float:
    return phase(table, "validation")["kept"].iloc[-1]


def test_a_larger_lambda_keeps_less(run):
    # Adam would see its sign alone; with a large epsilon it sees its size
    given = {"adam_epsilon": 1.0, "threshold_learning_rate": 0.03, "epochs": 4}
    settings = PruningSettings(final=0.05, temperature=0.02)
    shares = [
        last_kept(run(Stage("soft", weight), settings, resume=str(weight), **given)[1])
        for weight in (0, 0.03, 0.1, 0.3)
    ]
    assert shares == sorted(shares, reverse=True) and shares[0] - shares[-1] > 0.3 and len(set(shares)) >= 3


def test_a_target_is_approached(run):
    settings = PruningSettings(final=0.05, temperature=0.02, target=0.5)
    free, bound = (
        last_kept(run(Stage("soft", weight), settings, resume=str(weight), epochs=6, threshold_learning_rate=0.02)[1])
        for weight in (0, 1)
    )
    assert abs(bound - 0.5) < 0.15 < abs(free - 0.5)


def test_gradients_of_thresholds_do_not_shrink_those_of_weights(run):
    # Adam does not see the size of gradients, so what clipping would change is measured against a large epsilon
    given = {"adam_epsilon": 1.0, "learning_rate": 1.0, "epochs": 1, "weight_decay": 0.0, "max_grad_norm": 0.5}
    one, other = (
        run(Stage("soft", weight), resume=str(weight), threshold_learning_rate=0.0, **given)[0].classifier
        for weight in (0.0, 1e4)
    )
    start = make_model().classifier.state_dict()
    moved = [sum(float((w - start[name]).norm()) for name, w in model.state_dict().items()) for model in (one, other)]
    assert moved[0] > 0 and moved[1] > 0.5 * moved[0]


def test_weight_decay_spares_norms_and_biases(run):
    model, _ = run(Stage("dense"), weight_decay=200.0)
    start = make_model().classifier.state_dict()
    for name, weight in model.classifier.named_parameters():
        if weight.dim() > 1:
            assert weight.norm() < 0.5 * start[name].norm(), name
        else:
            torch.testing.assert_close(weight, start[name], rtol=0, atol=0.05)


def test_class_weights_weigh_both_labels_the_same():
    weights = class_weights(torch.tensor([0, 1, 0, 0, 0, 1, 0, 0]))
    assert weights.tolist() == pytest.approx([8 / 12, 2.0]) and weights.dtype == torch.float32
    assert class_weights(torch.tensor([0, 1, 1, 0])).tolist() == [1, 1]
    assert class_weights(torch.tensor([0, 0])).isfinite().all()


def test_class_weights_make_the_rare_label_count(run):
    other = [[4, 5, 6], [7, 8, 9]] * 4
    rare = code_tokens([[4, 5, 6], *[[7, 8, 9]] * 7, *other], ["train"] * 8 + ["validation"] * 8)
    losses = {}
    for weighted in (False, True):
        given = {"class_weights": weighted, "batch_size": 8, "dropout": 0.0, "epochs": 1}
        model, table = run(Stage("dense"), given=rare, resume=str(weighted), **given)
        losses[weighted] = phase(table, "train")["loss"][0]
    model = make_model().eval()
    batch = rare.batch(range(8))
    with torch.no_grad():
        each = torch.nn.functional.cross_entropy(model(batch.ids, batch.mask).logits, batch.labels, reduction="none")
    assert losses[False] == pytest.approx(float(each.mean()), abs=1e-5)
    assert losses[True] == pytest.approx(float(each[0] + each[1:].mean()) / 2, abs=1e-5)


def test_accumulated_batches_equal_one_large_batch(run):
    given = toy_functions(train=8)
    settings = {"dropout": 0.0, "epochs": 3, "given": given}
    whole, one = run(Stage("dense"), batch_size=8, accumulation=1, resume="whole", **settings)
    parts, two = run(Stage("dense"), batch_size=2, accumulation=4, resume="parts", **settings)
    assert two["loss"].tolist() == pytest.approx(one["loss"].tolist(), abs=1e-4)
    for name, weight in whole.state_dict().items():
        torch.testing.assert_close(parts.state_dict()[name], weight, rtol=0, atol=1e-4)


def test_share_kept_is_a_mean_over_functions_and_layers():
    keep = torch.tensor([[[1.0, 1, 1, 0], [1, 0.5, 0, 0]], [[1, 0, 0, 0], [1, 0, 0, 0]]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    assert float(share_kept(keep, mask)) == pytest.approx((3 / 4 + 1.5 / 2 + 1 / 4 + 1 / 2) / 4)


@pytest.mark.parametrize(("share", "hard"), [(0.0, 0), (0.25, 3), (0.5, 6), (1.0, 12)])
def test_the_last_steps_are_hard(share, hard, run, monkeypatch):
    modes, original = [], PrunedClassifier.forward

    def forward(self, ids, mask, mode="dense"):
        if self.training:
            modes.append(mode)
        return original(self, ids, mask, mode)

    monkeypatch.setattr(PrunedClassifier, "forward", forward)
    _, table = run(Stage("soft", hard_share=share))
    assert modes == ["soft"] * (12 - hard) + ["hard"] * hard
    assert phase(table, "train")["temperature"].isna().tolist() == [False] * (12 - hard) + [True] * hard


@pytest.mark.parametrize("mode", ["dense", "hard"])
def test_only_a_soft_stage_changes_its_masks(mode, run, monkeypatch):
    modes, original = set(), PrunedClassifier.forward

    def forward(self, ids, mask, mode="dense"):
        modes.add((mode, self.training))
        return original(self, ids, mask, mode)

    monkeypatch.setattr(PrunedClassifier, "forward", forward)
    _, table = run(Stage(mode, weight=1.0), epochs=1)
    assert modes == {(mode, True), (mode, False)} and table["temperature"].isna().all()
    assert (phase(table, "train")["kept"] == 1).all() == (mode == "dense")


def test_the_temperature_falls_by_a_constant_factor_to_its_end(run):
    model, table = run(Stage("soft", final_temperature=2e-5))
    temperatures = phase(table, "train")["temperature"].to_numpy()
    assert temperatures[0] == 0.02 and temperatures[-1] == pytest.approx(2e-5)
    np.testing.assert_allclose(temperatures[1:] / temperatures[:-1], 1e-3 ** (1 / 11))
    assert model.settings.temperature == temperatures[-1]


@pytest.mark.parametrize("batch_size", [12, 24], ids=["two-steps", "one-step"])
def test_the_last_step_is_taken_at_the_final_temperature(batch_size, run):
    model, table = run(Stage("soft", final_temperature=2e-5), epochs=1, batch_size=batch_size)
    temperatures = phase(table, "train")["temperature"].tolist()
    assert temperatures == pytest.approx([0.02, 2e-5][-24 // batch_size :]) and model.settings.temperature == 2e-5


def test_soft_weights_reach_the_final_temperature_before_masks_are_hard(run):
    _, table = run(Stage("soft", final_temperature=2e-5, hard_share=0.5))
    temperatures = phase(table, "train")["temperature"].dropna().to_numpy()
    assert len(temperatures) == 6 and temperatures[0] == 0.02 and temperatures[-1] == pytest.approx(2e-5)


@pytest.mark.parametrize(("train_functions", "dropout"), [(24, 0.0), (4, 0.3)], ids=["order", "dropout"])
def test_the_seed_decides_the_order_and_the_dropout(train_functions, dropout, run):
    # four functions of different lengths make one batch, always in the same order
    bodies = [[4, *range(5, 5 + number)] for number in range(1, train_functions)]
    given = code_tokens([[7], *bodies, [5, 6], [4]], ["train"] * train_functions + ["validation"] * 2)
    settings = {"given": given, "dropout": dropout, "epochs": 1}
    one, again, other = (run(resume=name, seed=seed, **settings)[1] for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert one.equals(again) and not one["loss"].equals(other["loss"])


STAGES = {
    "dense": Stage("dense"),
    "soft": Stage("soft", 1.0, hard_share=0.25, final_temperature=1e-3),
    "hard": Stage("hard"),
}


@pytest.mark.parametrize(("stage", "step"), [("dense", 6), ("soft", 1), ("soft", 10), ("hard", 7)], ids=str)
def test_a_terminated_run_resumes_to_the_same_bytes(stage, step, run, tmp_path, monkeypatch):
    expected, table = run(STAGES[stage], resume="whole")
    with monkeypatch.context() as patch, pytest.raises(SystemExit) as stopped:
        send_sigterm_in(step, PruningTrainer, patch)
        run(STAGES[stage], resume="parts")
    assert stopped.value.code == 143 and (tmp_path / "parts" / f"checkpoint-{step}").is_dir()
    model, again = run(STAGES[stage], resume="parts")
    assert same_weights(model, expected) and model.settings == expected.settings
    assert again.equals(table) and len(again) == 14


def test_a_finished_run_without_results_trains_no_further_step(run, monkeypatch):
    expected, table = run(STAGES["soft"])
    with monkeypatch.context() as patch:
        patch.setattr(PruningTrainer, "compute_loss", lambda *_, **__: pytest.fail("trained again"))
        model, again = run(STAGES["soft"])
    assert same_weights(model, expected) and again.equals(table)
    assert model.settings == expected.settings, "the temperature too is where the training left it"


@pytest.mark.parametrize(
    ("family", "body", "message"),
    [
        (
            "longformer",
            [VOCABULARY],
            "token id 50 is outside the vocabulary of 50 of the model in .*; allowed: tokens",
        ),
        ("longformer", [7] * 39, r"max_tokens: 41 is more than the model in .* can read; allowed: at most 40"),
        ("roberta", [7] * 39, r"max_tokens: 41 is more than the model in .* can read; allowed: at most 40"),
    ],
    ids=["vocabulary", "longformer", "roberta"],
)
def test_tokens_that_do_not_fit_are_refused(family, body, message, run):
    given = code_tokens([body, [5, 4]], ["train", "validation"])
    with pytest.raises(InputError, match=rf"tokenise_code.*{message}"):
        run(Stage("dense"), family=family, given=given)


def test_the_longest_tokens_that_fit_are_read(run):
    given = code_tokens([[VOCABULARY - 1] * 38, [5, 4], [5, 6]], ["train", "validation", "validation"])
    assert len(run(Stage("dense"), given=given, epochs=1)[1]) == 2


def test_settings_are_those_of_the_configuration():
    changes = {"mode": "manual", "score": "relative", "ramp": "zero_based", "target": 0.4, "variant": "as_published"}
    settings = settings_of({**PRUNING, **changes, "lambda": 0.3}, seed=5)
    assert settings == PruningSettings(final=0.1, temperature=0.02, seed=5, **changes)


@pytest.mark.parametrize("mode", ["threshold", "manual"])
def test_hardened_thresholds_stay_as_they_were_learned(mode):
    model = make_model(PruningSettings(mode, final=0.1, temperature=0.02))
    model.thresholds.offset.data += torch.tensor([0.03, -0.01])
    before = model.thresholds.values().detach().clone()
    result = hardened(model, {**PRUNING, "mode": mode}, seed=0)
    assert torch.equal(result.thresholds.values(), before)
    assert not result.thresholds.offset.requires_grad and not result.training


@pytest.mark.parametrize("mode", ["topk", "random"])
def test_a_share_gets_its_settings_when_it_is_hardened(mode, tokens):
    dense = make_model(PruningSettings(final=0.0)).train()
    result = hardened(dense, {**PRUNING, "mode": mode, "final": 0.4}, seed=9)
    assert result.settings == PruningSettings(mode, final=0.4, temperature=0.02, seed=9)
    assert result.classifier is dense.classifier and not result.training
    found = predict(result, tokens, [0], "hard", 1)
    n = int(tokens.lengths[0])
    assert found.kept[0].tolist() == [np.ceil(0.7 * n), np.ceil(0.4 * n)]


def test_learned_thresholds_are_tabulated_by_layer(tokens):
    model = make_model().eval()
    before = model.thresholds.values().detach().cpu()
    model.thresholds.offset.data += torch.tensor([0.02, -0.01])
    table = learned_by(model, before, tokens, 4)
    found = predict(model, tokens, tokens.of("validation").tolist(), "hard", 8)
    assert table["layer"].tolist() == [0, 1]
    assert table["base"].tolist() == table["before"].tolist() == pytest.approx([0.05, 0.1])
    assert table["after"].tolist() == pytest.approx([0.07, 0.09])
    assert table["kept"].tolist() == pytest.approx((found.kept / found.lengths[:, None]).mean(0).tolist())
    assert table["kept"].between(0.05, 0.95).all()
