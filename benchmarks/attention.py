"""Time attention over block lists against dense attention, in one run on this machine.

Usage: python benchmarks/attention.py --lengths 1024 4096 --kept 0.5 0.1 --json attention.json

Times are medians of `--repeats`, in milliseconds. `sdpa_ms` is PyTorch's dense softmax attention on the same queries,
keys and values, and `times` says how many times faster a row is. `share_of_ideal` is `times` divided by `1 / kept`.
The rows:

- `softmax`, `entmax`: our kernel on random block lists, which are given;
- `flex`: FlexAttention on the same lists, compiled, softmax only;
- kept 1: dense attention: `entmax` ours, `package` and `partial` the package `entmax`, which sorts all scores or the
  highest, and `backward` rows with the time of a forward and a backward pass.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in the workflow: waiting threads must not spin

import pandas as pd
import torch
from entmax import entmax15
from torch.nn.attention.flex_attention import flex_attention, noop_mask
from torch.nn.functional import scaled_dot_product_attention as sdpa

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow" / "scripts"))
from sparse_attention.block_sparse.dispatch import attend, use_kernels
from sparse_attention.block_sparse.lists import BlockLists

LARGEST = 2**31  # bytes of scores up to which the package, which holds them several times, is timed
Row = dict[str, Any]


def main() -> None:
    """Print a table of all rows; with `--json`, write them with the conditions."""
    options = arguments().parse_args()
    torch.set_num_threads(options.threads)
    kernel = use_kernels("auto")
    conditions = {"threads": options.threads, "torch": torch.__version__, "machine": platform.machine(), **kernel}
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
    parser.add_argument("--lengths", type=int, nargs="+", default=[512, 1024, 2048, 4096], help="tokens")
    parser.add_argument("--kept", type=float, nargs="+", default=[0.5, 0.1, 0.05, 0.02], help="shares of blocks")
    parser.add_argument("--block", type=int, default=64, help="tokens of a block, a multiple of 16")
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--dim", type=int, default=64, help="dimensions of a head")
    parser.add_argument("--deviation", type=float, default=2.0, help="standard deviation of queries and keys")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", help="file for the rows")
    return parser


def measure(length: int, options: argparse.Namespace) -> Iterator[Row]:
    """Yield the rows of one length."""
    draw = torch.Generator().manual_seed(0)
    shape = 1, options.heads, length, options.dim
    query, key, value = (torch.randn(shape, generator=draw) * options.deviation for _ in range(3))

    def row(method: str, kept: float, run: Callable[[], object], baseline: float) -> Row:
        took = milliseconds(run, options.repeats)
        times = baseline / took
        named = {"length": length, "block": options.block, "kept": round(kept, 4), "method": method, "source": "random"}
        timed = {"attend_ms": took, "sdpa_ms": baseline, "times": times, "share_of_ideal": times * kept}
        return named | {name: round(number, 3) for name, number in timed.items()}

    dense = milliseconds(lambda: sdpa(query, key, value), options.repeats)
    yield row("softmax", 1, lambda: attend(query, key, value, alpha=1.0), dense)
    yield row("entmax", 1, lambda: attend(query, key, value), dense)
    if 4 * options.heads * length**2 <= LARGEST:
        scale = options.dim**-0.5
        yield row("package", 1, lambda: entmax15(query @ key.mT * scale, dim=-1) @ value, dense)
        yield row("partial", 1, lambda: entmax15(query @ key.mT * scale, dim=-1, k=min(512, length)) @ value, dense)
    leaves = [tensor.clone().requires_grad_() for tensor in (query, key, value)]
    both = milliseconds(lambda: sdpa(*leaves).backward(value), options.repeats)
    yield row("softmax backward", 1, lambda: attend(*leaves, alpha=1.0).output.backward(value), both)
    yield row("entmax backward", 1, lambda: attend(*leaves).output.backward(value), both)
    flex = torch.compile(flex_attention)
    blocks = -(-length // options.block)
    for count in sorted({max(1, round(share * blocks)) for share in options.kept}, reverse=True):
        lists = random_lists(length, count, options, draw)
        yield row("softmax", lists.kept, lambda of=lists: attend(query, key, value, of, 1.0), dense)
        yield row("entmax", lists.kept, lambda of=lists: attend(query, key, value, of), dense)
        mask = lists.to_block_mask()
        mask.mask_mod = noop_mask  # every listed block is full; a compiled kernel reads the lists alone
        yield row("flex", lists.kept, lambda of=mask: flex(query, key, value, block_mask=of), dense)


def random_lists(length: int, count: int, options: argparse.Namespace, draw: torch.Generator) -> BlockLists:
    """Return lists that keep `count` random key blocks for every block of queries."""
    blocks = -(-length // options.block)
    scores = torch.rand(1, options.heads, blocks, blocks, generator=draw)
    chosen = scores.topk(count, dim=-1).indices
    kept = torch.zeros_like(scores, dtype=torch.bool).scatter(-1, chosen, True)
    return BlockLists.of(kept, length, length, options.block, options.block)


def milliseconds(run: Callable[[], object], repeats: int) -> float:
    """Return the median time of a call, without the first."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


if __name__ == "__main__":
    main()
