"""Time a Longformer classifier padded, without padding, with pruned tokens hidden, and with them removed, in one run.

Each way classifies the same sequences of random tokens. `padded` is transformers' own model on sequences padded to the
longest one; `unpadded` is our model without padding and without pruning, the baseline of all comparisons; `masked` and
`dropped` keep the tokens with the highest scores from the first layer on. `achieved` is the saving of time by dropping,
as a share of its saving of multiply-adds. In the last layer `unpadded` and `dropped` compute only CLS, the other ways
all tokens. The last lines time a layer with importance scores against a layer without them.

Usage: python benchmarks/pruning.py [--lengths 256 1024] [--kept 1 0.5 0.1] [--batch 4] [--threads 1]
           [--size small | base] [--device cpu | cuda] [--dtype float32 | bfloat16]
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in the workflow: waiting threads must not spin

import numpy as np
import torch
from torch import Tensor
from transformers import LongformerConfig, LongformerForSequenceClassification

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow" / "scripts"))
from sparse_attention.jobs.compute import set_threads
from sparse_attention.metrics.flops import LayerShape, pruned_multiply_adds
from sparse_attention.pruning.dropping import attend_packed
from sparse_attention.pruning.layers import layers_of
from sparse_attention.pruning.model import PrunedClassifier
from sparse_attention.pruning.packed import Packed
from sparse_attention.pruning.thresholds import PruningSettings
from sparse_attention.pruning.timing import medians


class Size(NamedTuple):
    """Size of a model."""

    layers: int
    heads: int
    hidden: int
    window: int


SIZES = {"small": Size(4, 12, 384, 256), "base": Size(12, 12, 768, 512)}
"""Sizes of the default classifier and of longformer-base."""
SHORTEST = 0.6  # length of the shortest sequence of a batch, as a share of the longest
WASTE = 0.1  # the default of `predict_dropped`
Ways = dict[str, Callable[[], object]]


def classifier(size: Size, positions: int) -> LongformerForSequenceClassification:
    """Return a Longformer with random weights."""
    torch.manual_seed(0)
    config = LongformerConfig(
        vocab_size=1000, hidden_size=size.hidden, intermediate_size=4 * size.hidden, num_hidden_layers=size.layers,
        num_attention_heads=size.heads, attention_window=[size.window] * size.layers,
        max_position_embeddings=positions + 2, pad_token_id=1, num_labels=2, initializer_range=0.1,
    )  # fmt: skip
    return LongformerForSequenceClassification(config).eval()


def sequences(length: int, batch: int) -> tuple[Tensor, Tensor]:
    """Return ids and mask of sequences of `SHORTEST * length` to `length` tokens, both ``(batch, length)``."""
    generator = torch.Generator().manual_seed(length)
    lengths = torch.linspace(SHORTEST * length, length, batch).long()
    mask = (torch.arange(length) < lengths[:, None]).long()
    return torch.randint(2, 1000, (batch, length), generator=generator).masked_fill(mask == 0, 1), mask


@torch.no_grad()
def compare(network: LongformerForSequenceClassification, length: int, options: argparse.Namespace) -> None:
    """Print the times of all ways at one length, with a line for each kept share."""
    device, size = torch.device(options.device), SIZES[options.size]
    ids, mask = (tensor.to(device) for tensor in sequences(length, options.batch))
    lengths = mask.sum(1).cpu().numpy()
    dense = PrunedClassifier(network, PruningSettings(final=0.0)).eval()
    ways: Ways = {
        "padded": lambda: network(input_ids=ids, attention_mask=mask),
        "unpadded": lambda: dense.predict_dropped(ids, mask, prune=False, logits_only=True),
    }
    for share in options.kept:
        model = PrunedClassifier(network, PruningSettings(mode="topk", final=0.0)).eval()
        model.thresholds.shares = [share] * size.layers
        ways[f"masked {share:g}"] = lambda model=model: model(ids, mask, "hard")
        ways[f"dropped {share:g}"] = lambda model=model: model.predict_dropped(ids, mask, logits_only=True)
    found = medians(ways, options.repeats, device)
    base = found["unpadded"]
    print(f"{length} tokens: unpadded {1000 * base:.0f} ms, {found['padded'] / base:.2f} times faster than padded")
    for share in options.kept:
        dropped = found[f"dropped {share:g}"]
        saved = 1 - cost(size, lengths, share) / cost(size, lengths, 1.0)
        achieved = f", {100 * (1 - dropped / base) / saved:.0f} % of the saving achieved" if saved > 0 else ""
        print(
            f"  {100 * share:3.0f} % kept: masked {base / found[f'masked {share:g}']:.2f}, "
            f"dropped {base / dropped:.2f} times the speed of unpadded; "
            f"multiply-adds {100 * (1 - saved):.0f} %{achieved}"
        )


def cost(size: Size, lengths: np.ndarray, share: float) -> float:
    """Return the multiply-adds of a batch in which every layer keeps `share` of the tokens."""
    left = np.ceil(lengths * share - 1e-4)
    shape = LayerShape(size.hidden, 4 * size.hidden, size.window)
    return float(pruned_multiply_adds(shape, lengths, np.stack([left] * size.layers), size.heads).sum())


@torch.no_grad()
def compare_scoring(network: LongformerForSequenceClassification, length: int, options: argparse.Namespace) -> None:
    """Print the cost of importance scores: the extra time of attention with scores, as a share of a layer's time."""
    device = torch.device(options.device)
    ids, mask = (tensor.to(device) for tensor in sequences(length, options.batch))
    model = PrunedClassifier(network, PruningSettings(final=0.0)).eval()
    layers, packed = layers_of(network), Packed(network.longformer.embeddings(input_ids=ids), mask.bool())
    found = medians(
        {
            "scored": lambda: attend_packed(layers[0], packed, WASTE, scored=True),
            "unscored": lambda: attend_packed(layers[0], packed, WASTE, scored=False),
            "layers": lambda: model.predict_dropped(ids, mask, prune=False, waste=WASTE),
        },
        options.repeats,
        device,
    )
    extra = (found["scored"] - found["unscored"]) / (found["layers"] / len(layers))
    print(f"{length} tokens: scores add {100 * extra:+.0f} % of a layer's time to attention")


def main() -> None:
    """Print the conditions, then lines for each length."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[256, 512, 1024, 2048, 4096])
    parser.add_argument("--kept", type=float, nargs="+", default=[1.0, 0.75, 0.5, 0.25, 0.1])
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32")
    options = parser.parse_args()
    set_threads(options.threads)
    size = SIZES[options.size]
    network = classifier(size, max(options.lengths)).to(options.device, getattr(torch, options.dtype))
    where = torch.cuda.get_device_name() if options.device.startswith("cuda") else "a CPU"
    print(
        f"{size.layers} layers of {size.hidden} dims, {size.heads} heads, window {size.window}, {options.dtype}, "
        f"batches of {options.batch} sequences of {100 * SHORTEST:.0f} to 100 % of the length, on {where}, "
        f"--threads {options.threads}, torch {torch.__version__}"
    )
    for length in options.lengths:
        compare(network, length, options)
    for length in options.lengths:
        compare_scoring(network, length, options)


if __name__ == "__main__":
    main()
