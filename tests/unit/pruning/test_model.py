"""The pruned classifier: dense equals the library, hard a loop by hand, dropped equals hidden, soft nears hard."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import cross_entropy
from transformers import AutoModelForSequenceClassification

from covering import all_pairs
from sparse_attention.errors import InputError
from sparse_attention.pruning.model import PrunedClassifier
from sparse_attention.pruning.stored import load_pruned_model, save_pruned_model
from sparse_attention.pruning.thresholds import PruningSettings

FAMILIES = ["longformer", "roberta", "bert"]
FAMILY = pytest.mark.parametrize("family", FAMILIES)
SHAPES = ["B1", "B1-short", "B2", "B2-equal", "B3-ragged", "B4-padded"]
SETTINGS = {
    "mean": PruningSettings(score="mean", final=0.05),
    "relative": PruningSettings(score="relative", final=0.4, ramp="zero_based"),
    "cls": PruningSettings("manual", score="cls", final=0.05),
    "topk": PruningSettings("topk", final=0.3),
    "random": PruningSettings("random", final=0.3),
    "only CLS": PruningSettings(score="relative", final=1.0),
}


@FAMILY
@pytest.mark.parametrize("shape", SHAPES)
def test_dense_logits_are_the_librarys(family, shape, make_classifier, make_batch):
    classifier, (ids, mask) = make_classifier(family), make_batch(shape)
    model = PrunedClassifier(classifier, PruningSettings()).eval()
    with torch.no_grad():
        expected = classifier(input_ids=ids, attention_mask=mask).logits
        found = model(ids, mask)
    torch.testing.assert_close(found.logits, expected, rtol=0, atol=1e-5)
    assert torch.equal(found.keep, mask.float().expand(3, -1, -1)) and found.regulariser == 1


def by_hand(model, ids):
    """Classify one sequence without padding, hard, by its own rows and columns only; return logits and what is kept."""
    network, settings, thresholds = model.classifier, model.settings, model.thresholds.values()
    states = network.base_model.embeddings(input_ids=ids[None])[0]
    places, survived = torch.arange(len(ids)), torch.zeros(len(ids), dtype=torch.int64)
    for number, layer in enumerate(network.base_model.encoder.layer):
        module, heads, n = layer.attention.self, network.config.num_attention_heads, len(states)
        query, key, value = (
            part(states).view(n, heads, -1).transpose(0, 1) for part in (module.query, module.key, module.value)
        )
        scores = query @ key.transpose(1, 2) / query.shape[-1] ** 0.5
        global_values = value
        if network.config.model_type == "longformer":
            far = (places[:, None] - places[None]).abs() > network.config.attention_window[number] // 2
            far[:, 0] = False
            scores = scores.masked_fill(far, -torch.inf)
            query, key, global_values = (
                part(states).view(n, heads, -1).transpose(0, 1)
                for part in (module.query_global, module.key_global, module.value_global)
            )
            scores[:, 0] = (query @ key.transpose(1, 2))[:, 0] / query.shape[-1] ** 0.5
        probabilities = scores.softmax(-1)
        context = probabilities @ value
        context[:, 0] = (probabilities @ global_values)[:, 0]
        received = probabilities.mean(0)
        importance = {
            "mean": received.mean(0), "relative": received.sum(0) / received.sum(0).max(), "cls": received[0],
        }[settings.score]  # fmt: skip
        kept = importance >= thresholds[number]
        kept[0] = True
        states = layer.attention.output(context.transpose(0, 1).reshape(n, -1), states)
        states = layer.output(layer.intermediate(states), states)[kept]
        places = places[kept]
        survived[places] += 1
    if network.config.model_type == "bert":
        return network.classifier(network.bert.pooler(states[None]))[0], survived
    return network.classifier(states[None])[0], survived


@FAMILY
@pytest.mark.parametrize("name", ["mean", "relative", "cls", "only CLS"])
def test_hard_and_dropped_equal_a_computation_by_hand(family, name, make_classifier, make_batch):
    model, (ids, mask) = PrunedClassifier(make_classifier(family), SETTINGS[name]).eval(), make_batch("B3-ragged")
    with torch.no_grad():
        expected = [by_hand(model, row[own.bool()]) for row, own in zip(ids, mask, strict=True)]
        hard, dropped = model(ids, mask, "hard"), model.predict_dropped(ids, mask)
    logits = torch.stack([each for each, _ in expected])
    torch.testing.assert_close(hard.logits, logits, rtol=0, atol=1e-4)
    torch.testing.assert_close(dropped.logits, logits, rtol=0, atol=1e-4)
    for row, (_, survived) in enumerate(expected):
        assert dropped.survived[row, : len(survived)].tolist() == survived.tolist()
        assert hard.keep.sum(0)[row, : len(survived)].tolist() == survived.tolist()
    assert (dropped.survived[mask == 0] == -1).all() and (dropped.survived[:, 0] == 3).all()


@all_pairs(
    family=FAMILIES,
    name=list(SETTINGS),
    shape=SHAPES,
    waste=[0.0, 0.5],
    also=[{"family": family, "name": "mean", "shape": "B3-ragged", "waste": "0.0"} for family in FAMILIES],
)
def test_removing_tokens_gives_the_logits_of_hiding_them(family, name, shape, waste, make_classifier, make_batch):
    model, (ids, mask) = PrunedClassifier(make_classifier(family), SETTINGS[name]).eval(), make_batch(shape)
    with torch.no_grad():
        dense, hard = model(ids, mask), model(ids, mask, "hard")
    dropped = model.predict_dropped(ids, mask, waste=waste)
    torch.testing.assert_close(dropped.logits, hard.logits, rtol=0, atol=1e-4)
    assert torch.equal(dropped.survived[mask == 1], hard.keep.sum(0).long()[mask == 1])
    assert (hard.keep[1:] <= hard.keep[:-1]).all() and set(hard.keep.unique().tolist()) <= {0.0, 1.0}
    few = model.predict_dropped(ids, mask, waste=waste, logits_only=True)
    torch.testing.assert_close(few.logits, hard.logits, rtol=0, atol=1e-4)
    assert torch.equal(few.survived[mask == 1], hard.keep[:-1].sum(0).long()[mask == 1])
    if shape == "B3-ragged":
        share = (hard.keep[-1] * mask).sum() / mask.sum()
        assert share < 0.9 and (hard.logits - dense.logits).abs().max() > 0.01, "a test of pruning must prune"


@FAMILY
def test_a_sequence_does_not_depend_on_its_batch(family, make_classifier, make_batch):
    model, (ids, mask) = PrunedClassifier(make_classifier(family), SETTINGS["random"]).eval(), make_batch("B3-ragged")
    whole = model.predict_dropped(ids, mask)
    for row in range(3):
        length = int(mask[row].sum())
        alone = model.predict_dropped(ids[row : row + 1, :length], mask[row : row + 1, :length])
        torch.testing.assert_close(alone.logits[0], whole.logits[row], rtol=0, atol=1e-5)
        assert torch.equal(alone.survived[0], whole.survived[row, :length])


def test_unpadded_but_unpruned_is_dense(make_classifier, make_batch):
    model, (ids, mask) = (
        PrunedClassifier(make_classifier("longformer"), SETTINGS["topk"]).eval(),
        make_batch("B4-padded"),
    )
    dropped = model.predict_dropped(ids, mask, prune=False)
    torch.testing.assert_close(dropped.logits, model(ids, mask).logits, rtol=0, atol=1e-5)
    assert (dropped.survived[mask == 1] == 3).all()
    few = model.predict_dropped(ids, mask, prune=False, logits_only=True)
    torch.testing.assert_close(few.logits, dropped.logits, rtol=0, atol=1e-5)
    assert (few.survived[mask == 1] == 2).all()
    with pytest.raises(ValueError, match="evaluation mode"):
        model.train().predict_dropped(ids, mask)


@FAMILY
def test_soft_becomes_hard_as_the_temperature_falls(family, make_classifier, make_batch):
    model, (ids, mask) = PrunedClassifier(make_classifier(family), SETTINGS["mean"]).eval(), make_batch("B3-ragged")
    with torch.no_grad():
        hard, distances = model(ids, mask, "hard"), []
        for temperature in (1e-1, 1e-3, 1e-7):
            model.thresholds.temperature = temperature
            soft = model(ids, mask, "soft")
            distances.append(float((soft.logits - hard.logits).abs().max()))
    torch.testing.assert_close(soft.keep, hard.keep, rtol=0, atol=1e-4)
    assert distances[2] < 1e-4 and distances[0] > 0.01


@FAMILY
@pytest.mark.parametrize("score", ["mean", "relative", "cls"])
def test_gradients_reach_the_thresholds_of_all_layers(family, score, make_classifier, make_batch):
    settings = PruningSettings(score=score, final=0.05, temperature=0.05)
    model, (ids, mask) = PrunedClassifier(make_classifier(family), settings), make_batch("B3-ragged")
    found = model(ids, mask, "soft")
    (gradient,) = torch.autograd.grad(found.regulariser, model.thresholds.offset, retain_graph=True)
    assert (gradient < 0).all(), "a higher threshold keeps less"
    (gradient,) = torch.autograd.grad(cross_entropy(found.logits, torch.tensor([0, 1, 1])), model.thresholds.offset)
    assert gradient[:-1].abs().min() > 0, "all but what is pruned after the last layer changes the loss"


def learned(model, ids, mask, weight, steps=25):
    """Learn the thresholds only; return the hard kept share and the thresholds."""
    labels = torch.arange(len(ids)) % 2
    optimiser = torch.optim.Adam([model.thresholds.offset], lr=0.01)
    for _ in range(steps):
        found = model(ids, mask, "soft")
        optimiser.zero_grad()
        (cross_entropy(found.logits, labels) + weight * found.regulariser).backward()
        optimiser.step()
    with torch.no_grad():
        keep = model(ids, mask, "hard").keep
    return float((keep * mask).sum() / (3 * mask.sum())), model.thresholds.values().detach()


def test_thresholds_are_learned_and_lambda_decides_what_is_kept(make_classifier, make_batch):
    ids, mask = make_batch("B3-ragged")
    settings = PruningSettings(final=0.02, temperature=0.02)
    start = PrunedClassifier(make_classifier("longformer"), settings).thresholds.values()
    shares = []
    for weight in (0.0, 1.0, 10.0, 100.0):
        model = PrunedClassifier(make_classifier("longformer"), settings).eval()
        share, thresholds = learned(model, ids, mask, weight)
        shares.append(share)
        assert ((thresholds - start).abs() > 1e-3).any()
    assert shares == sorted(shares, reverse=True) and shares[0] > shares[-1] + 0.1


def test_a_target_is_approached_from_both_sides(make_classifier, make_batch):
    ids, mask = make_batch("B3-ragged")
    for final in (0.0, 0.3):
        settings = PruningSettings(final=final, temperature=0.02, target=0.5)
        model = PrunedClassifier(make_classifier("longformer"), settings).eval()
        with torch.no_grad():
            before = model(ids, mask, "soft").regulariser
        learned(model, ids, mask, 1000.0, steps=40)
        with torch.no_grad():
            assert model(ids, mask, "soft").regulariser < 0.25 * before


@FAMILY
def test_a_saved_model_loads_again(family, make_classifier, make_batch, tmp_path):
    model, (ids, mask) = PrunedClassifier(make_classifier(family), SETTINGS["mean"]).eval(), make_batch("B2")
    model.thresholds.offset.data += torch.tensor([0.01, -0.01, 0.02])
    save_pruned_model(model, tmp_path / "pruned")
    again = load_pruned_model(tmp_path / "pruned")
    assert again.settings == model.settings and not again.training
    assert torch.equal(again.predict_dropped(ids, mask).logits, model.predict_dropped(ids, mask).logits)
    ordinary = AutoModelForSequenceClassification.from_pretrained(tmp_path / "pruned").eval()
    with torch.no_grad():
        torch.testing.assert_close(ordinary(ids, attention_mask=mask).logits, model(ids, mask).logits)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("pruning.json", None, "pruning.json: there is no such file"),
        ("pruning.json", "{", "pruning.json: .*; allowed: a JSON object with mode, score"),
        ("pruning.json", json.dumps({"mode": "soft"}), "pruning.json: mode: 'soft' is not allowed; allowed: thr"),
        ("pruning.json", json.dumps({"lambda": 1}), "pruning.json: .*lambda.*; allowed: a JSON object with mode"),
        ("pruning.safetensors", None, "pruning.safetensors"),
        ("pruning.safetensors", "x", "pruning.safetensors"),
        ("config.json", None, "there is no config.json; allowed: a Hugging Face"),
        ("model.safetensors", None, "has no weights; allowed: model.safetensors"),
    ],
)
def test_a_damaged_folder_is_refused(file, content, message, make_classifier, tmp_path):
    save_pruned_model(PrunedClassifier(make_classifier("bert"), SETTINGS["mean"]), tmp_path)
    (tmp_path / file).unlink() if content is None else (tmp_path / file).write_text(content)
    with pytest.raises(InputError, match=message):
        load_pruned_model(tmp_path)


def test_thresholds_for_another_number_of_layers_are_refused(make_classifier, tmp_path):
    save_pruned_model(PrunedClassifier(make_classifier("bert"), SETTINGS["mean"]), tmp_path)
    shorter = {name: tensor[:2] for name, tensor in load_file(tmp_path / "pruning.safetensors").items()}
    save_file(shorter, tmp_path / "pruning.safetensors")
    with pytest.raises(InputError, match=r"pruning.safetensors: .*\(2,\).*allowed: .*\(3,\)"):
        load_pruned_model(tmp_path)


def test_thresholds_that_are_not_finite_are_refused(make_classifier, tmp_path):
    save_pruned_model(PrunedClassifier(make_classifier("bert"), SETTINGS["mean"]), tmp_path)
    tensors = load_file(tmp_path / "pruning.safetensors")
    tensors["offset"][1] = torch.nan
    save_file(tensors, tmp_path / "pruning.safetensors")
    with pytest.raises(InputError, match=r"pruning.safetensors: offset holds NaN or infinity"):
        load_pruned_model(tmp_path)


def test_another_family_is_refused():
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    classifier = DistilBertForSequenceClassification(DistilBertConfig(n_layers=1, dim=12, hidden_dim=12, n_heads=2))
    with pytest.raises(InputError, match="distilbert cannot be pruned; allowed: longformer, roberta, bert"):
        PrunedClassifier(classifier, PruningSettings())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@FAMILY
def test_a_gpu_prunes_the_same_tokens_as_a_cpu(family, make_classifier, make_batch):
    here, (ids, mask) = PrunedClassifier(make_classifier(family), SETTINGS["topk"]).eval(), make_batch("B3-ragged")
    with torch.no_grad():
        expected = here.predict_dropped(ids, mask)
        there, ids, mask = here.cuda(), ids.cuda(), mask.cuda()
        found = [there.predict_dropped(ids, mask), there.predict_dropped(ids, mask, logits_only=True)]
        hidden = there(ids, mask, "hard").logits
    for logits in (found[0].logits, found[1].logits, hidden):
        torch.testing.assert_close(logits.cpu(), expected.logits, rtol=0, atol=1e-4)
    assert torch.equal(found[0].survived.cpu(), expected.survived)
