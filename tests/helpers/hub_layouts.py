"""Tiny contents in the layouts of repositories on the Hugging Face hub: the same files, keys and columns."""

from __future__ import annotations

import io
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import torch
from safetensors.torch import save
from tokenizers import AddedToken, ByteLevelBPETokenizer, Tokenizer, processors
from transformers import (
    LongformerConfig,
    LongformerForMaskedLM,
    ModernBertConfig,
    ModernBertForMaskedLM,
    PreTrainedModel,
    RobertaConfig,
    RobertaForMaskedLM,
)

TEXT = "the quick brown fox jumps over a lazy dog ; for ( int i = 0 ; i < n ; i ++ ) { sum += a [ i ] ; }"
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
CARD = {".gitattributes": b"*.bin filter=lfs\n", "README.md": b"# A card\n"}
OTHERS = {name: b"not wanted" for name in ("tf_model.h5", "rust_model.ot", "flax_model.msgpack")}


def wikitext() -> dict[str, bytes]:
    """Return the four configurations of WikiText; only `wikitext-103-raw-v1` has articles."""
    files = dict(CARD)
    for name in ("wikitext-2-raw-v1", "wikitext-2-v1", "wikitext-103-v1"):
        files |= {f"{name}/{split}-00000-of-00001.parquet": b"not wanted" for split in ("test", "train", "validation")}
    parts = {"test": 1, "train": 2, "validation": 1}
    for split, count in parts.items():
        for part in range(count):
            lines = [line for number in range(3) for line in _article(f"{split} {part} {number}")]
            name = f"wikitext-103-raw-v1/{split}-{part:05}-of-{count:05}.parquet"
            files[name] = _parquet({"text": lines})
    return files


def _article(title: str) -> list[str]:
    words = f" {title} is an article about the quick brown fox , which has many words . " * 6 + "\n"
    return ["", f" = {title} = \n", "", words, "", " = = History = = \n", "", words]


def devign() -> dict[str, bytes]:
    """Return Devign as CodeXGLUE splits it: 12 functions a split, every second one with a vulnerability."""
    files = dict(CARD)
    for split in ("train", "validation", "test"):
        sources = [_function(split, number) for number in range(12)]
        rows = {"id": range(12), "func": sources, "target": [number % 2 == 1 for number in range(12)]}
        rows |= {"project": ["FFmpeg", "qemu"] * 6, "commit_id": ["0" * 40] * 12}
        files[f"data/{split}-00000-of-00001.parquet"] = _parquet(rows)
    return files


def _function(split: str, number: int) -> str:
    lines = [f"  {split}_{number}_{line} = call_{(number * 7 + line) % 97}(x{line});" for line in range(6)]
    return "\n".join([f"int {split}_{number}(int x)", "{", *lines, "}"])


def roberta() -> dict[str, bytes]:
    """Return the files of roberta-base: weights as safetensors and as a pickle, a byte-level BPE in two forms."""
    tokens = _byte_level_tokenizer(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    special = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
    settings: dict[str, Any] = {"vocab_size": _size(tokens), "max_position_embeddings": 66, "type_vocab_size": 1}
    model = RobertaForMaskedLM(RobertaConfig(**SIZES, **special, **settings, layer_norm_eps=1e-5))
    weights = _with_unused(model, "roberta", 66)
    config = {"architectures": ["RobertaForMaskedLM"], "attention_probs_dropout_prob": 0.1, **SIZES, **special}
    config |= {**settings, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "initializer_range": 0.02}
    config |= {"layer_norm_eps": 1e-5, "model_type": "roberta"}
    return CARD | OTHERS | tokens | {
        "config.json": _json(config),
        "dict.txt": b"50 1\n",
        "model.safetensors": save(weights, {"format": "pt"}),
        "pytorch_model.bin": _pickled(weights),
        "tokenizer_config.json": _json({"model_max_length": 64}),
    }  # fmt: skip


def longformer() -> dict[str, bytes]:
    """Return the files of longformer-base-4096: only pickled weights, and no settings of the tokenizer."""
    tokens = _byte_level_tokenizer(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    special = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "sep_token_id": 2}
    settings: dict[str, Any] = {"vocab_size": _size(tokens), "max_position_embeddings": 258, "type_vocab_size": 1}
    settings |= {"attention_window": [16, 16]}
    model = LongformerForMaskedLM(LongformerConfig(**SIZES, **special, **settings, layer_norm_eps=1e-5))
    config = {"attention_mode": "longformer", "attention_probs_dropout_prob": 0.1, **SIZES, **special, **settings}
    config |= {"gradient_checkpointing": False, "hidden_act": "gelu", "hidden_dropout_prob": 0.1}
    config |= {"ignore_attention_mask": False, "initializer_range": 0.02, "layer_norm_eps": 1e-5}
    weights = _pickled(_with_unused(model, "longformer", 258))
    return CARD | OTHERS | tokens | {"config.json": _json(config | {"model_type": "longformer"}),
                                     "pytorch_model.bin": weights}  # fmt: skip


def modernbert() -> dict[str, bytes]:
    """Return the files of ModernBERT-base: no vocabulary beside tokenizer.json, and rotary settings by old names."""
    special = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
    tokens = _byte_level_tokenizer(special)
    size = _size(tokens)
    names = {f"{token.strip('[]').lower()}_token": token for token in special}
    ids = {"bos_token_id": 1, "cls_token_id": 1, "eos_token_id": 2, "sep_token_id": 2, "pad_token_id": 3}
    settings: dict[str, Any] = {**SIZES, **ids, "vocab_size": size, "max_position_embeddings": 128}
    settings |= {"local_attention": 8, "global_attn_every_n_layers": 2}
    model = ModernBertForMaskedLM(ModernBertConfig(**settings))
    config = {"architectures": ["ModernBertForMaskedLM"], "attention_bias": False, "attention_dropout": 0.0, **settings}
    config |= {"classifier_activation": "gelu", "classifier_bias": False, "classifier_dropout": 0.0}
    config |= {"classifier_pooling": "mean", "decoder_bias": True, "deterministic_flash_attn": False}
    config |= {"embedding_dropout": 0.0, "global_rope_theta": 160000.0, "gradient_checkpointing": False}
    config |= {"hidden_activation": "gelu", "initializer_cutoff_factor": 2.0, "initializer_range": 0.02}
    config |= {"layer_norm_eps": 1e-5, "local_rope_theta": 10000.0, "mlp_bias": False, "mlp_dropout": 0.0}
    config |= {"model_type": "modernbert", "norm_bias": False, "norm_eps": 1e-5, "position_embedding_type": "absolute"}
    config |= {"sparse_pred_ignore_index": -100, "sparse_prediction": False, "torch_dtype": "float32"}
    weights = {name: weight for name, weight in model.state_dict().items() if name != "decoder.weight"}
    settings = {"clean_up_tokenization_spaces": True, "model_input_names": ["input_ids", "attention_mask"]}
    settings |= {"model_max_length": 128, "tokenizer_class": "PreTrainedTokenizerFast", **names}
    return CARD | {
        "config.json": _json(config),
        "model.safetensors": save(weights, {"format": "pt"}),
        "onnx/model.onnx": b"not wanted",
        "pytorch_model.bin": _pickled(weights),
        "special_tokens_map.json": _json(names),
        "tokenizer.json": tokens["tokenizer.json"],
        "tokenizer_config.json": _json(settings),
    }


LAYOUTS = {
    "wikitext-103-raw": wikitext,
    "roberta-base": roberta,
    "longformer-base-4096": longformer,
    "modernbert-base": modernbert,
    "devign": devign,
}
"""By name in config/datasets.yaml, a function that returns the files of the repository by path."""


def _byte_level_tokenizer(special: list[str]) -> dict[str, bytes]:
    """Return a small byte-level BPE as tokenizer.json, vocab.json and merges.txt."""
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator([TEXT] * 3, vocab_size=300, special_tokens=special)
    with TemporaryDirectory() as folder:
        bpe.save_model(folder)
        files = {name: Path(folder, name).read_bytes() for name in ("vocab.json", "merges.txt")}
    tokenizer: Tokenizer = bpe._tokenizer
    first, last = (("<s>", 0), ("</s>", 2)) if special[0] == "<s>" else (("[CLS]", 1), ("[SEP]", 2))
    tokenizer.post_processor = processors.RobertaProcessing(last, first)
    tokenizer.add_special_tokens([AddedToken(special[-1], lstrip=True, special=True)])
    return files | {"tokenizer.json": tokenizer.to_str().encode()}


def _size(tokens: dict[str, bytes]) -> int:
    return len(json.loads(tokens["vocab.json"]))


def _with_unused(model: PreTrainedModel, prefix: str, positions: int) -> dict[str, torch.Tensor]:
    """Return weights as old versions of transformers saved them: with position numbers and a pooler, untied."""
    weights = {name: weight for name, weight in model.state_dict().items() if not name.startswith("lm_head.decoder")}
    weights[f"{prefix}.embeddings.position_ids"] = torch.arange(positions)[None]
    hidden = model.config.hidden_size
    weights[f"{prefix}.pooler.dense.weight"] = torch.zeros(hidden, hidden)
    weights[f"{prefix}.pooler.dense.bias"] = torch.zeros(hidden)
    return weights


def _pickled(weights: dict[str, torch.Tensor]) -> bytes:
    stream = io.BytesIO()
    torch.save(weights, stream, _use_new_zipfile_serialization=False)
    return stream.getvalue()


def _parquet(rows: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    pd.DataFrame(rows).to_parquet(stream, index=False)
    return stream.getvalue()


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content, indent=2).encode()
