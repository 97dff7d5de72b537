"""A few functions of code, a tokenizer for their words, and tiny classifiers that prune their tokens."""

from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace

import torch
from tokenizers import BertWordPieceTokenizer
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    LongformerConfig,
    LongformerForSequenceClassification,
    PreTrainedTokenizerFast,
)

from sparse_attention.data.code.functions import Function, write_functions
from sparse_attention.data.code.tokens import tokenise
from sparse_attention.data.splits import SPLITS
from sparse_attention.pruning.model import PrunedClassifier
from sparse_attention.pruning.stored import make_pruned, save_pruned_model
from sparse_attention.pruning.thresholds import PruningSettings

NAMES = "river bridge castle engine market comet".split()
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *NAMES, *"def return self true ( ) : = + . , \" ' < &".split()]
MAX_TOKENS = 24


def functions(count: int = 18, seed: int = 0) -> list[Function]:
    """Return functions of all splits and both labels, some of them longer than `MAX_TOKENS`."""
    rng, made = random.Random(seed), []
    for number in range(count):
        name, other = rng.sample(NAMES, 2)
        lines = [f"def {name}(self, {other}):"]
        lines += [f'    {rng.choice(NAMES)} = "{name}", {other} < self.{name}' for _ in range(number % 4)]
        lines.append(f"\treturn {other} & True")
        found = (len(lines),) if number // 3 % 2 else ()
        made.append(
            Function(
                "\n".join(lines), len(found), f"p{number % 2}", f"f{number}.py", "B602" * len(found), found,
                SPLITS[number % 3],
            )
        )  # fmt: skip
    return made


def tokenizer() -> PreTrainedTokenizerFast:
    words = BertWordPieceTokenizer({piece: number for number, piece in enumerate(PIECES)})
    return PreTrainedTokenizerFast(
        tokenizer_object=words._tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )


SIZES = {
    "vocab_size": len(PIECES), "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 16, "max_position_embeddings": MAX_TOKENS + 8, "initializer_range": 0.5, "pad_token_id": 0,
}  # fmt: skip


def model(final: float = 0.5) -> PrunedClassifier:
    """Return a classifier whose last layer keeps tokens with at least `final` times the highest score."""
    torch.manual_seed(0)
    network = BertForSequenceClassification(BertConfig(**SIZES))
    return PrunedClassifier(network, PruningSettings(score="relative", final=final)).eval()


def published() -> PrunedClassifier:
    """Return a classifier of the variant `as_published`, which can only mask tokens."""
    torch.manual_seed(0)
    network = LongformerForSequenceClassification(LongformerConfig(**SIZES, attention_window=4))
    return make_pruned(network, PruningSettings("manual", "relative", 0.5, variant="as_published")).eval()


def inputs(folder: Path, **models: PrunedClassifier) -> SimpleNamespace:
    """Write functions, their tokens and `models`; return their paths like the input of a rule."""
    own = functions()
    write_functions(own, folder / "functions.parquet")
    tokenise(own, tokenizer(), MAX_TOKENS).save(folder / "tokens.safetensors", folder / "tokens.json")
    for name, each in models.items():
        save_pruned_model(each, folder / name)
    paths = {name: str(folder / name) for name in models}
    return SimpleNamespace(
        functions=str(folder / "functions.parquet"), tokens=str(folder / "tokens.safetensors"), **paths
    )
