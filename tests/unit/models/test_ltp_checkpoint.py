"""Checkpoints in the layout of the published pruning code, as its trainer writes them."""

import json

import pytest
import torch
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


def test_it_is_the_same_classifier(checkpoint):
    folder, network, _ = checkpoint
    assert is_ltp(folder)
    tokens = torch.randint(2, 30, (2, 16), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(tokens)
    for loaded in (load_ltp(folder), load_classifier(folder, None, 16, whole=True)):
        assert loaded.config.model_type == "longformer" and not hasattr(loaded.config, "prune_mode")
        with torch.no_grad():
            assert torch.equal(loaded(tokens, mask).logits, network(tokens, mask).logits)


@pytest.mark.parametrize("change", ["missing", "unknown", "shape", "no-file", "not-weights"])
def test_other_contents_are_refused(checkpoint, change):
    folder, _, weights = checkpoint
    name = "classifier.dense.weight"
    if change == "missing":
        del weights[name]
    elif change == "unknown":
        weights["lm_head.bias"] = torch.zeros(1)
    elif change == "shape":
        weights[name] = torch.zeros(3, 3)
    torch.save([1] if change == "not-weights" else weights, folder / "pytorch_model.bin")
    if change == "no-file":
        (folder / "pytorch_model.bin").unlink()
    with pytest.raises(InputError, match=str(folder)):
        load_ltp(folder)


def test_other_folders_are_none(tmp_path):
    assert not is_ltp(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    assert not is_ltp(tmp_path)
