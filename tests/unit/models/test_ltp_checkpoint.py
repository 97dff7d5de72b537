"""Checkpoints in the layout of the published pruning code, as its trainer writes them."""

import json

import pytest
import torch
from safetensors.torch import save_file
from transformers import LongformerConfig, LongformerForSequenceClassification

from sparse_attention.errors import InputError
from sparse_attention.models.loading import load_classifier
from sparse_attention.models.ltp_checkpoint import is_ltp, load_ltp

SIZES = {"vocab_size": 30, "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16,
         "max_position_embeddings": 40, "attention_window": [4, 4], "num_labels": 2, "pad_token_id": 1}  # fmt: skip


@pytest.fixture
def checkpoint(tmp_path):
    torch.manual_seed(0)
    network = LongformerForSequenceClassification(LongformerConfig(**SIZES)).eval()
    weights = dict(network.state_dict())
    weights["longformer.embeddings.position_ids"] = torch.arange(40)[None]
    for layer in range(2):
        weights[f"longformer.encoder.layer.{layer}.attention.self.pruner.keep_threshold"] = torch.tensor(0.0)
    torch.save(weights, tmp_path / "pytorch_model.bin")
    config = {**SIZES, "model_type": "ltp", "architectures": ["LTPForSequenceClassification"], "quant_mode": False,
              "prune_mode": "absolute_threshold", "final_token_threshold": 0.01}  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path, network, weights


def test_a_checkpoint_gives_the_logits_of_its_classifier(checkpoint):
    folder, network, _ = checkpoint
    assert is_ltp(folder)
    tokens = torch.randint(2, 30, (2, 16), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(tokens)
    for loaded in (load_ltp(folder), load_classifier(folder, None, 16, require_head=True)):
        assert loaded.config.model_type == "longformer" and not hasattr(loaded.config, "prune_mode")
        with torch.no_grad():
            assert torch.equal(loaded(tokens, mask).logits, network(tokens, mask).logits)


def test_sharded_safetensors_give_the_same_weights(checkpoint):
    folder, network, weights = checkpoint
    (folder / "pytorch_model.bin").unlink()
    names = sorted(weights)
    shards = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, own in shards.items():
        save_file({name: weights[name].contiguous() for name in own}, folder / file)
    places = {name: file for file, own in shards.items() for name in own}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    loaded = load_ltp(folder).state_dict()
    assert all(torch.equal(loaded[name], weight) for name, weight in network.state_dict().items())


CHANGES = {
    "missing": "1 weights are missing, such as classifier.dense.weight",
    "unknown": "2 weights have no place in a Longformer classifier, such as lm_head.bias",
    "shape": "the weights do not fit config.json",
    "no-file": "has no weights; allowed: model.safetensors or pytorch_model.bin",
    "not-weights": "pytorch_model.bin: holds no weights by name",
    "not finite": "classifier.dense.weight holds NaN or infinity",
}


@pytest.mark.parametrize("change", CHANGES)
def test_other_contents_are_refused(checkpoint, change):
    folder, _, weights = checkpoint
    name = "classifier.dense.weight"
    if change == "missing":
        del weights[name]
    elif change == "unknown":
        weights |= {"lm_head.bias": torch.zeros(1), "longformer.pooler.dense.bias": torch.zeros(1)}
    elif change == "shape":
        weights[name] = torch.zeros(3, 3)
    elif change == "not finite":
        weights[name][0, 0] = torch.nan
    torch.save([1] if change == "not-weights" else weights, folder / "pytorch_model.bin")
    if change == "no-file":
        (folder / "pytorch_model.bin").unlink()
    with pytest.raises(InputError, match=rf"{folder}.*{CHANGES[change]}") as caught:
        load_ltp(folder)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("size", ["hidden_size", "attention_window"])
def test_numbers_that_fit_no_longformer_are_refused(checkpoint, size):
    folder, _, _ = checkpoint
    config = json.loads((folder / "config.json").read_text()) | {size: "12"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=rf"config\.json: {size}: '12' is not allowed; allowed: "):
        load_ltp(folder)


def test_other_folders_are_not_ltp_checkpoints(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    assert not is_ltp(tmp_path)
