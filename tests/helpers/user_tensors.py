"""Readers of a user's tensors and models, each with a function that builds a small valid input."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from sparse_attention.clusters.centroids import Centroids
from sparse_attention.data.blocks import PARTS, Blocks
from sparse_attention.files.tensors import read_metadata, read_safetensors, read_torch
from sparse_attention.originals.dumps import Dump
from sparse_attention.projections.model import Projections
from sparse_attention.qk.gold import GoldReader, GoldWriter, gold_of
from sparse_attention.qk.options import ExtractOptions
from sparse_attention.qk.sources import find_sources, import_sources
from sparse_attention.qk.store import QKInfo, QKReader, QKWriter
from user_files import Reader

LENGTHS = (5, 1, 8)
LAYERS, HEADS, DIM = 2, 3, 4
IMPORT = ExtractOptions(False, False, 0.3, {"train": 1, "validation": 1}, 1, "float32")


def _random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def _vectors(seed: int = 0) -> list[torch.Tensor]:
    return [_random(LAYERS, HEADS, length, DIM, seed=seed) for length in LENGTHS]


def _dump(name: str, seed: int = 0) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        content = {"length_src": torch.tensor(LENGTHS).float(), "q": _vectors(seed), "k": _vectors(seed + 1)}
        torch.save(content, folder / name, _use_new_zipfile_serialization=name.startswith("new"))

    return build


def _parts(name: str) -> Callable[[Path], object]:
    return lambda folder: list(Dump(folder / name).parts())


def _store(folder: Path) -> None:
    info = QKInfo(LAYERS, HEADS, DIM, LENGTHS, LENGTHS, ("a", "b", "c"))
    with QKWriter(folder, info) as writer:
        for index, (queries, keys) in enumerate(zip(_vectors(), _vectors(1), strict=True)):
            for layer in range(LAYERS):
                writer.write(layer, index, queries[layer], keys[layer])


def _examples(reader: QKReader | GoldReader) -> object:
    return [list(reader.examples(layer)) for layer in range(reader.info.layers)]


def _gold(folder: Path) -> None:
    _store(folder.parent / "qk")
    reader = QKReader(folder.parent / "qk")
    with GoldWriter(folder, reader.info) as writer:
        for layer in range(LAYERS):
            for example in reader.examples(layer):
                writer.write(layer, example, gold_of(example, 1.5))


def _import(folder: Path) -> None:
    outputs = {split: str(folder.parent / "imported" / split) for split in ("train", "validation")}
    import_sources(find_sources({"dump": str(folder)}), outputs, IMPORT, 1.5)


def _two_dumps(folder: Path) -> None:
    _dump("new_enc-attn.pt")(folder)
    _dump("old_validation_enc-attn.pt", 5)(folder)


def _projections() -> Projections:
    sides = [{"w": _random(HEADS, DIM, 2, seed=side), "b": _random(HEADS, 1, 2)} for side in range(2)]
    return Projections.of([(sides[0], sides[1])] * LAYERS)


def _project(name: str) -> Callable[[Path], object]:
    return lambda folder: Projections.load(folder / name).layers


def _centroids() -> Centroids:
    return Centroids(tuple(_random(HEADS, 2, 4, 2, seed=layer).double() for layer in range(LAYERS)))


def _pickles(folder: Path) -> None:
    from sklearn.cluster import KMeans

    # the module of the published code; it stays because damaged pickles load it again
    if "multi_kmeans" not in sys.modules:
        sys.modules["multi_kmeans"] = ModuleType("multi_kmeans")
        kind = type("MultiKmeans", (), {"__module__": "multi_kmeans"})
        sys.modules["multi_kmeans"].MultiKmeans = kind  # type: ignore[attr-defined]
    for layer in range(LAYERS):
        heads = []
        for head in range(HEADS):
            heads.append(sys.modules["multi_kmeans"].MultiKmeans())
            fits = [KMeans(4, n_init=1, max_iter=1).fit(_random(9, 2, seed=run + head).numpy()) for run in range(2)]
            heads[-1].kmeans = fits
        (folder / f"{layer}{'n' * layer}.pickle").write_bytes(pickle.dumps(heads, 2 + layer))


def _blocks(folder: Path) -> None:
    from safetensors.torch import save_file

    tensors = {f"train.{part}": torch.ones(3, dtype=torch.int32) for part in PARTS}
    tensors["train.tokens"] = torch.ones(3, 6, dtype=torch.int32)
    save_file(tensors, folder / "blocks.safetensors")
    splits = {"train": {"blocks": 3, "tokens": 9, "documents": ["a", "b"], "characters": 40}}
    info = {"length": 6, "special": {"pad": 0}, "vocabulary": 9, "unigram_loss": 1.0, "splits": splits}
    (folder / "blocks.json").write_text(json.dumps(info))


def _read_blocks(folder: Path) -> object:
    blocks = Blocks.load(folder / "blocks.safetensors")
    return [(blocks.split(name), blocks.document_ids(name)) for name in blocks.info.splits]


def _code_tokens(folder: Path) -> None:
    from sparse_attention.data.code.tokens import CodeTokens, TokensInfo

    integers = [torch.full(shape, 3, dtype=torch.int32) for shape in ((6,), (6, 2), (2,), (2,))]
    labels = [torch.tensor(values, dtype=torch.int8) for values in ([0, 1], [0, 0])]
    tokens = CodeTokens(*integers, *labels, TokensInfo(pad=0, vocabulary=9, max_tokens=6))
    tokens.save(folder / "tokens.safetensors", folder / "tokens.json")


def _read_code_tokens(folder: Path) -> object:
    from sparse_attention.data.code.tokens import CodeTokens

    tokens = CodeTokens.load(folder / "tokens.safetensors")
    return tokens.batch(range(len(tokens.lengths)))


def _weights(name: str) -> Callable[[Path], None]:
    content = {"layer.weight": torch.ones(3, 3), "layer.bias": torch.ones(3)}
    return lambda folder: torch.save(content, folder / name, _use_new_zipfile_serialization=name.startswith("new"))


SIZES: dict[str, Any] = {
    "vocab_size": 50, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 8,
    "max_position_embeddings": 40, "pad_token_id": 0, "num_labels": 2,
}  # fmt: skip


def _model(kind: str, pickled: bool = False) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        import transformers

        torch.manual_seed(0)
        network = getattr(transformers, kind)(getattr(transformers, kind).config_class(**SIZES))
        network.save_pretrained(folder)
        if pickled:
            (folder / "model.safetensors").unlink()
            torch.save(network.state_dict(), folder / "pytorch_model.bin")

    return build


def _checkpoint(folder: Path) -> None:
    from transformers import LongformerConfig, LongformerForSequenceClassification

    sizes = SIZES | {"attention_window": [4, 4]}
    weights = dict(LongformerForSequenceClassification(LongformerConfig(**sizes)).state_dict())
    weights["longformer.encoder.layer.0.attention.self.pruner.keep_threshold"] = torch.tensor(0.0)
    torch.save(weights, folder / "pytorch_model.bin")
    (folder / "config.json").write_text(json.dumps(sizes | {"model_type": "ltp", "prune_mode": "absolute_threshold"}))


def _masked_lm(folder: Path) -> None:
    from sparse_attention.models.masked_lm import load_masked_lm

    load_masked_lm(folder, "entmax~1.5", "identity")


def _classifier(folder: Path) -> None:
    from sparse_attention.models.loading import load_classifier

    load_classifier(folder, None, 16, require_head=True)


def _tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 64, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "max_position_embeddings": 80}))


def _code_tokenizer(folder: Path) -> None:
    from sparse_attention.data.code.tokens import load_tokenizer

    load_tokenizer(folder)


def _text_tokeniser(folder: Path) -> None:
    from sparse_attention.data.tokenising import Tokeniser

    Tokeniser(folder, 16)


def _pruned(folder: Path) -> None:
    import transformers

    from sparse_attention.pruning.stored import make_pruned, save_pruned_model
    from sparse_attention.pruning.thresholds import PruningSettings

    network = transformers.BertForSequenceClassification(transformers.BertConfig(**SIZES))
    save_pruned_model(make_pruned(network, PruningSettings()), folder)


def _load_pruned(folder: Path) -> None:
    from sparse_attention.pruning.stored import load_pruned_model

    load_pruned_model(folder)


READERS: dict[str, Reader] = {
    "torch-new": Reader(_weights("new.pt"), lambda folder: read_torch(folder / "new.pt")),
    "torch-old": Reader(_weights("old.pt"), lambda folder: read_torch(folder / "old.pt")),
    "safetensors": Reader(
        lambda folder: _projections().save(folder / "a.safetensors"),
        lambda folder: (read_metadata(folder / "a.safetensors"), read_safetensors(folder / "a.safetensors")),
    ),
    "dump-new": Reader(_dump("new_enc-attn.pt"), _parts("new_enc-attn.pt")),
    "dump-old": Reader(_dump("old_enc-attn.pt"), _parts("old_enc-attn.pt")),
    "sources": Reader(_two_dumps, _import),
    "sources-store": Reader(_store, _import),
    "store": Reader(_store, lambda folder: _examples(QKReader(folder))),
    "gold": Reader(_gold, lambda folder: _examples(GoldReader(folder))),
    "projections": Reader(lambda folder: _projections().save(folder / "p.safetensors"), _project("p.safetensors")),
    "projections-original": Reader(lambda folder: _projections().save_original(folder / "new.pt"), _project("new.pt")),
    "centroids": Reader(
        lambda folder: _centroids().save(folder / "c.safetensors"),
        lambda folder: Centroids.load(folder / "c.safetensors"),
    ),
    "centroids-original": Reader(
        lambda folder: _centroids().save_original(folder / "new.pt"), lambda folder: Centroids.load(folder / "new.pt")
    ),
    "centroids-pickled": Reader(
        _pickles, lambda folder: Centroids.load_files([folder / "0.pickle", folder / "1n.pickle"])
    ),
    "blocks": Reader(_blocks, _read_blocks),
    "code-tokens": Reader(_code_tokens, _read_code_tokens),
    "masked-lm": Reader(_model("BertForMaskedLM"), _masked_lm, 20),
    "masked-lm-bin": Reader(_model("RobertaForMaskedLM", pickled=True), _masked_lm, 20),
    "classifier": Reader(_model("RobertaForSequenceClassification"), _classifier, 20),
    "classifier-published": Reader(_checkpoint, _classifier, 20),
    "classifier-pruned": Reader(_pruned, _load_pruned, 20),
    "tokenizer-code": Reader(_tokenizer, _code_tokenizer, 20),
    "tokenizer-text": Reader(_tokenizer, _text_tokeniser, 20),
}
