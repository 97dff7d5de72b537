"""Time a whole encoder: dense softmax attention against entmax attention over predicted blocks, in one run.

Usage: python benchmarks/encoder.py --lengths 512 1024 2048 4096 --kept 0.1 --json encoder.json

The encoder has the shape of the default model (6 layers, 12 heads of 32 dims) with random weights and enough positions.
Weights are so large that queries and keys have a standard deviation of about 2 in the first layer, so that entmax is
sparse. `tokens_per_s` counts prediction, lists and everything else in the encoder; `times` is against the same encoder
with PyTorch's dense softmax attention. Each predictor runs at the point that keeps nearest to `--kept` of the blocks in
the first layer; `kept` is what it keeps there. Predictors that read projected vectors are given the queries and keys
themselves. Quantizers cut blocks in the order of buckets.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in the workflow: waiting threads must not spin

import pandas as pd
import torch
from torch import Tensor
from transformers import AttentionInterface, BertConfig, BertModel, PreTrainedModel

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow" / "scripts"))
from attending.sources import RECORDED, Reached, Recorder

from sparse_attention.attention_timing.inputs import Inputs
from sparse_attention.attention_timing.points import nearest_point
from sparse_attention.attention_timing.timing import milliseconds
from sparse_attention.block_sparse.dispatch import use_kernels
from sparse_attention.evaluation.block_lists import predict_lists
from sparse_attention.models.attention import NAME
from sparse_attention.models.predicted import IN_BLOCKS
from sparse_attention.predictors.base import Context
from sparse_attention.predictors.features import Features
from sparse_attention.predictors.registry import create, discover
from sparse_attention.settings.ladders import LADDERS, Setting
from sparse_attention.sparse_models.points import Point
from sparse_attention.sparse_models.prediction import PredictedAttention

METHODS = ("window", "reformer", "xattention")
FREE = sorted(
    name for name, info in discover().items() if set(info.needs) <= {"projection"} and not (info.fits or info.fitted)
)
VOCABULARY = 1000


def main() -> None:
    """Print a row for each length and attention, and write what is asked for."""
    options = arguments().parse_args()
    torch.set_num_threads(options.threads)
    conditions = {"threads": options.threads, "torch": torch.__version__, "machine": platform.machine()}
    conditions |= use_kernels("auto")
    print("; ".join(f"{name}: {value}" for name, value in conditions.items()))
    model, rows = encoder(max(options.lengths), options), []
    for length in options.lengths:
        for row in rows_of(model, length, options):
            rows.append(row)
            print("  ".join(f"{name} {value}" for name, value in row.items()), flush=True)
    print(pd.DataFrame(rows).to_string(index=False))
    if options.json:
        Path(options.json).write_text(json.dumps({"conditions": conditions, "rows": rows}, indent=1) + "\n")


def encoder(positions: int, options: argparse.Namespace) -> PreTrainedModel:
    """Return an encoder with random weights."""
    torch.manual_seed(0)
    width = options.heads * options.dim
    config = BertConfig(
        vocab_size=VOCABULARY, hidden_size=width, num_hidden_layers=options.layers, num_attention_heads=options.heads,
        intermediate_size=4 * width, max_position_embeddings=positions, initializer_range=2 * width**-0.5,
    )  # fmt: skip
    model = BertModel(config, add_pooling_layer=False).eval()
    model.config.sparse_attention = {"kind": "entmax", "alpha": 1.5}
    return model


def rows_of(model: PreTrainedModel, length: int, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield the rows of one length: dense softmax, dense entmax, and every predictor."""
    tokens = torch.randint(VOCABULARY, (1, length), generator=torch.Generator().manual_seed(length))
    dense = timed(model, "sdpa", tokens, options)
    yield row_of(length, "dense softmax", 1.0, dense, dense)
    yield row_of(length, "dense entmax", 1.0, timed(model, NAME, tokens, options), dense)
    inputs = first_layer(model, tokens)
    for name in options.methods:
        (_, point), kept = chosen(name, inputs, options.kept)
        predictors = [create(name, Context()) for _ in range(options.layers)]
        PredictedAttention(predictors, Point(point)).attach(model)
        yield row_of(length, f"entmax, {name}", kept, timed(model, IN_BLOCKS, tokens, options), dense)


def row_of(length: int, method: str, kept: float, taken: float, dense: float) -> dict[str, Any]:
    """Return a row; `taken` and `dense` are milliseconds."""
    speed = round(1000 * length / taken)
    return {"length": length, "method": method, "kept": round(kept, 3), "tokens_per_s": speed,
            "ms": round(taken, 1), "times": round(dense / taken, 2)}  # fmt: skip


def timed(model: PreTrainedModel, implementation: str, tokens: Tensor, options: argparse.Namespace) -> float:
    """Return the median time of a pass in milliseconds."""
    model.set_attn_implementation(implementation)
    with torch.no_grad():
        return milliseconds(lambda: model(input_ids=tokens), options.repeats)


def first_layer(model: PreTrainedModel, tokens: Tensor) -> Inputs:
    """Return the queries, keys and values of the first layer."""
    recorder = Recorder(0)
    AttentionInterface.register(RECORDED, recorder)
    model.set_attn_implementation(RECORDED)
    try:
        with torch.no_grad():
            model(input_ids=tokens)
    except Reached:
        pass
    return recorder.inputs[0]


def chosen(name: str, inputs: Inputs, wanted: float) -> tuple[Setting, float]:
    """Return the setting of a predictor that keeps nearest to a share of the blocks, and what it keeps."""
    predictor, vectors = create(name, Context()), (inputs.query[0], inputs.keys_by_head)
    features, by_bucket = Features(0, 0, *vectors, *vectors, inputs.visible), discover()[name].quantizes

    def kept(setting: Setting) -> float:
        return predict_lists(predictor, features, setting[1], reorder=by_bucket).lists.kept

    setting = nearest_point(LADDERS[name](inputs.query.shape[2], 64), wanted, kept)
    return setting, kept(setting)


def arguments() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[512, 1024, 2048, 4096], help="tokens")
    parser.add_argument("--kept", type=float, default=0.1, help="share of blocks of 64 x 64 tokens")
    parser.add_argument(
        "--methods", nargs="*", choices=FREE, default=METHODS, metavar="PREDICTOR", help=", ".join(FREE)
    )
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--dim", type=int, default=32, help="dimensions of a head")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", help="file for the rows")
    return parser


if __name__ == "__main__":
    main()
