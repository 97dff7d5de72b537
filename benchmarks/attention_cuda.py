"""Time attention over block lists on an NVIDIA GPU against dense attention, in one run.

Usage: python benchmarks/attention_cuda.py --lengths 4096 8192 --kept 0.5 0.2 0.1 0.05 --json attention_cuda.json

Times are medians of `--repeats`, in milliseconds, after a warm-up: `forward_ms`, and `both_ms` of a forward and a
backward pass. `flash_ms` and `flash_both_ms` are those of FlashAttention, which is dense softmax attention, on the same
queries, keys and values; `times` and `times_both` say how many times faster a row is. The rows:

- `softmax`, `entmax`: our kernels on random block lists, which are given, so no prediction is in the time;
- `flex`: FlexAttention on the same lists, compiled, softmax only;
- kept 1: dense attention; `adasplash` is the package of this name, entmax only, where it is installed. It takes no
  lists, so its times are also what our rows with fewer blocks are to be held against.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import flex_attention, noop_mask
from torch.nn.functional import scaled_dot_product_attention as sdpa

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow" / "scripts"))
from sparse_attention.block_sparse.dispatch import attend, use_kernels
from sparse_attention.block_sparse.lists import BlockLists

Row = dict[str, Any]
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def main() -> None:
    """Print a table of all rows; with `--json`, write them with the conditions."""
    options = arguments().parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("no CUDA device is found; benchmarks/attention.py measures on a CPU")
    kernel = use_kernels("auto", "cuda")
    if kernel["kernel"] != "triton":
        raise SystemExit("the kernels need an NVIDIA GPU of compute capability 8.0 or later, and Triton")
    conditions = {"torch": torch.__version__, "dtype": options.dtype, "alpha": options.alpha, **kernel}
    print("; ".join(f"{name}: {value}" for name, value in conditions.items()))
    rows: list[Row] = []
    for length in options.lengths:
        for row in measure(length, options):
            rows.append(row)
            print("  ".join(f"{name} {value}" for name, value in row.items()), flush=True)
    print(pd.DataFrame(rows).to_string(index=False))
    if options.json:
        Path(options.json).write_text(json.dumps({"conditions": conditions, "rows": rows}, indent=1) + "\n")


def arguments() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[1024, 2048, 4096, 8192, 16384], help="tokens")
    parser.add_argument("--kept", type=float, nargs="+", default=[0.5, 0.2, 0.1, 0.05, 0.02], help="shares of blocks")
    parser.add_argument("--block", type=int, default=128, help="tokens of a block, a multiple of 16; flex needs 128")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--dim", type=int, default=64, help="dimensions of a head")
    parser.add_argument("--alpha", type=float, default=1.5, help="of entmax, in (1, 2]")
    parser.add_argument("--deviation", type=float, default=2.0, help="standard deviation of queries and keys")
    parser.add_argument("--dtype", choices=DTYPES, default="bfloat16")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--json", help="file for the rows")
    return parser


def measure(length: int, options: argparse.Namespace) -> Iterator[Row]:
    """Yield the rows of one length."""
    draw = torch.Generator("cuda").manual_seed(0)
    shape, dtype = (options.batch, options.heads, length, options.dim), DTYPES[options.dtype]
    query, key, value = leaves = [
        (torch.randn(shape, generator=draw, device="cuda") * options.deviation).to(dtype).requires_grad_()
        for _ in range(3)
    ]

    def times(run: Callable[..., torch.Tensor]) -> tuple[float, float]:
        def forward() -> None:
            with torch.no_grad():
                run(query, key, value)

        def both() -> None:
            torch.autograd.grad(run(query, key, value), leaves, value.detach())

        return milliseconds(forward, options.repeats), milliseconds(both, options.repeats)

    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        flash = times(sdpa)

    def row(method: str, kept: float, run: Callable[..., torch.Tensor]) -> Row:
        took = times(run)
        named = {"length": length, "block": options.block, "kept": round(kept, 4), "method": method}
        timed = {"forward_ms": took[0], "flash_ms": flash[0], "times": flash[0] / took[0]}
        timed |= {"both_ms": took[1], "flash_both_ms": flash[1], "times_both": flash[1] / took[1]}
        return named | {name: round(number, 3) for name, number in timed.items()}

    alpha = options.alpha
    yield row("softmax", 1, lambda *given: attend(*given, alpha=1.0).output)
    yield row("entmax", 1, lambda *given: attend(*given, alpha=alpha).output)
    if find_spec("adasplash") is not None:
        from adasplash import adasplash_v1

        yield row("adasplash", 1, lambda *given: adasplash_v1(*given, alpha=alpha, is_causal=False))
    flex = torch.compile(flex_attention)
    blocks = -(-length // options.block)
    for count in sorted({max(1, round(share * blocks)) for share in options.kept}, reverse=True):
        lists = random_lists(length, count, options, draw)
        yield row("softmax", lists.kept, lambda *given, of=lists: attend(*given, of, 1.0).output)
        yield row("entmax", lists.kept, lambda *given, of=lists: attend(*given, of, alpha).output)
        mask = lists.to_block_mask()
        mask.mask_mod = noop_mask  # every listed block is full; a compiled kernel reads the lists alone
        yield row("flex", lists.kept, lambda *given, of=mask: flex(*given, block_mask=of))


def random_lists(length: int, count: int, options: argparse.Namespace, draw: torch.Generator) -> BlockLists:
    """Return lists that keep `count` random key blocks for every block of queries."""
    blocks = -(-length // options.block)
    scores = torch.rand(1, options.heads, blocks, blocks, generator=draw, device="cuda")
    kept = torch.zeros_like(scores, dtype=torch.bool).scatter(-1, scores.topk(count, dim=-1).indices, True)
    return BlockLists.of(kept, length, length, options.block, options.block)


def milliseconds(run: Callable[[], object], repeats: int) -> float:
    """Return the median time of a call on the device, after three that are not counted."""
    times = []
    for turn in range(repeats + 3):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        torch.cuda.synchronize()
        if turn >= 3:
            times.append(start.elapsed_time(end))
    return statistics.median(times)


if __name__ == "__main__":
    main()
