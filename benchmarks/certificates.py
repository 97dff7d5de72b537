"""Measure what it takes to prove that entmax attention over block lists is exact, and to make it so.

Usage: python benchmarks/certificates.py --lengths 256 1024 4096 --json certificates.json
       python benchmarks/certificates.py --qk results/qk/…/validation --examples 8 --repeats 0

Queries and keys are stored ones (`--qk`, at their own lengths), or drawn: `random` ones have no structure, `runs` ones
lie around one centre for each run of 64 tokens. Each row is a mean over layers and examples:

- `order`: the tokens' own, or that of a tree, in which neighbouring keys are close;
- `lists`: `gold`, every block that holds a gold pair; `gold 90 %`, of these the ones with most attention, until they
  hold 90 % of it; `pooled`, the neighbouring blocks and those whose means have the highest products;
- `needed`, `kept_before`, `kept_after`: shares of the pairs of blocks that hold a gold pair, of the given lists, and
  of the repaired ones;
- `exact`, `certified`: share of queries whose whole support is kept, and of those for which the bounds prove it;
- `full_ms`, `attend_ms`, `bounds_ms`, `repair_ms`: medians of `--repeats` for attention to all keys, over the given
  lists, for the bounds, and for the rounds of repair; `times` is `full_ms` divided by the sum of the other three. With
  `--repeats 0` nothing is timed.
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

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow" / "scripts"))
from sparse_attention.attention.entmax import probabilities
from sparse_attention.attention_timing.timing import milliseconds
from sparse_attention.block_sparse.bounds import in_blocks
from sparse_attention.block_sparse.certificates import BOUNDS, attend_certified
from sparse_attention.block_sparse.dispatch import attend, use_kernels
from sparse_attention.block_sparse.lists import BlockLists
from sparse_attention.block_sparse.tree import by_tree
from sparse_attention.qk.store import QKReader

RUN = 64
GROUPS = ["source", "length", "order", "lists", "bound"]
Row = dict[str, Any]


def main() -> None:
    """Print a table of all rows; with `--json`, write them with the conditions."""
    options = arguments().parse_args()
    torch.set_num_threads(options.threads)
    kernel = use_kernels("auto")
    conditions = {"threads": options.threads, "torch": torch.__version__, "machine": platform.machine(), **kernel}
    settings = {name: getattr(options, name) for name in ("block", "alpha", "kept", "examples", "repeats")}
    print("; ".join(f"{name}: {value}" for name, value in (conditions | settings).items()))
    rows: list[Row] = []
    for source, query, key in sources(options):
        for row in measure(query, key, options):
            rows.append({"source": source, "length": query.shape[2], **row})
            print("  ".join(f"{name} {value}" for name, value in rows[-1].items()), file=sys.stderr, flush=True)
    table = pd.DataFrame(rows).groupby(GROUPS, sort=False).mean().round(3).reset_index()
    print(table.to_string(index=False))
    if options.json:
        content = {"conditions": conditions, "settings": settings, "rows": table.to_dict("records")}
        Path(options.json).write_text(json.dumps(content, indent=1) + "\n")


def arguments() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qk", nargs="+", default=[], help="folders of stored queries and keys, instead of drawn ones")
    parser.add_argument("--examples", type=int, default=8, help="of each layer of a store, evenly spread")
    parser.add_argument("--lengths", type=int, nargs="+", default=[256, 1024, 4096, 8192], help="of drawn ones")
    parser.add_argument("--heads", type=int, default=4, help="of drawn ones")
    parser.add_argument("--dim", type=int, default=64, help="of drawn ones")
    parser.add_argument("--deviation", type=float, default=2.0, help="standard deviation of drawn ones")
    parser.add_argument("--block", type=int, default=16, help="tokens of a block, a multiple of 16")
    parser.add_argument("--kept", type=float, default=0.1, help="share of blocks that pooled lists keep")
    parser.add_argument("--alpha", type=float, default=1.5)
    parser.add_argument("--bounds", nargs="+", choices=BOUNDS, default=BOUNDS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", help="file for the rows")
    return parser


def sources(options: argparse.Namespace) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Yield names, queries and keys, ``(1, heads, n, dim)``."""
    for folder in options.qk:
        reader = QKReader(folder)
        every = max(1, reader.info.examples // options.examples)
        for layer in range(reader.info.layers):
            for index in range(0, reader.info.examples, every)[: options.examples]:
                example = reader.example(layer, index)
                if reader.info.causal or not bool(example.valid.all()):
                    sys.exit(f"{folder}: queries do not see all keys; allowed: stores without masks")
                yield "stored", example.queries[None], example.keys[None]
    for length in () if options.qk else options.lengths:
        draw = torch.Generator().manual_seed(0)
        shape = 1, options.heads, length, options.dim
        query, key = (torch.randn(shape, generator=draw) * options.deviation for _ in range(2))
        yield "random", query, key
        centres = torch.randn(1, options.heads, -(-length // RUN), options.dim, generator=draw) * options.deviation
        centres = centres.repeat_interleave(RUN, 2)[:, :, :length]
        yield "runs", centres + query / 4, centres + key / 4


def measure(query: Tensor, key: Tensor, options: argparse.Namespace) -> Iterator[Row]:
    """Yield the rows of one example."""
    value = torch.randn(key.shape, generator=torch.Generator().manual_seed(1))
    reordered = by_tree(query, key).apply(query, key, value)
    for order, given in {"own": (query, key, value), "tree": reordered}.items():
        lengths = given[0].shape[2], given[1].shape[2], options.block, options.block
        mass, held = gold_of(given, lengths, options.alpha)
        needed = mass > 0
        for name, blocks in lists_of(given, mass, options).items():
            lists = BlockLists.of(blocks, *lengths)
            wrong = (held & ~blocks[:, :, :, None]).any(-1).flatten(2)[..., : lengths[0]]
            exact = 1 - float(wrong.double().mean())
            for bound in options.bounds:
                shares = {"needed": float(needed.double().mean()), "exact": exact}
                yield {"order": order, "lists": name, "bound": bound} | shares | prove(given, lists, bound, options)


def gold_of(
    given: tuple[Tensor, Tensor, Tensor], lengths: tuple[int, int, int, int], alpha: float
) -> tuple[Tensor, Tensor]:
    """Return the gold attention of each pair of blocks, and which blocks of keys hold gold pairs of each query.

    The shapes are ``(1, heads, query_blocks, key_blocks)`` and ``(1, heads, query_blocks, query_block, key_blocks)``.
    """
    query, key, _ = (in_blocks(tensor, lengths[2]) for tensor in given)
    real = torch.arange(key.shape[2] * key.shape[3]) < lengths[1]
    masses, held = [], []
    for row in range(query.shape[2]):  # so that no more than a block of rows is in memory
        scores = query[:, :, row].double() @ key.flatten(2, 3).mT.double() / query.shape[-1] ** 0.5
        shares = probabilities(scores, alpha, real).unflatten(-1, (-1, lengths[3]))
        shares[:, :, lengths[0] - row * lengths[2] :] = 0
        masses.append(shares.sum((2, 4)))
        held.append((shares > 0).any(-1))
    return torch.stack(masses, 2), torch.stack(held, 2)


def lists_of(given: tuple[Tensor, Tensor, Tensor], mass: Tensor, options: argparse.Namespace) -> dict[str, Tensor]:
    """Return kept pairs of blocks, bool ``(1, heads, query_blocks, key_blocks)``, by name."""
    ordered = mass.flatten(2).sort(dim=-1, descending=True)
    before = ordered.values.cumsum(-1) - ordered.values
    first = before < 0.9 * ordered.values.sum(-1, keepdim=True)
    heaviest = torch.zeros_like(first).scatter(-1, ordered.indices, first).unflatten(2, mass.shape[2:])
    query, key = (in_blocks(tensor, options.block).mean(-2) for tensor in given[:2])
    pooled = query @ key.mT
    rows, columns = (torch.arange(size) for size in pooled.shape[2:])
    near = (rows[:, None] - columns).abs() <= 1
    best = pooled.topk(max(1, round(options.kept * pooled.shape[-1])), dim=-1).indices
    chosen = near | torch.zeros_like(pooled, dtype=torch.bool).scatter(-1, best, True)
    return {"gold": mass > 0, "gold 90 %": heaviest, "pooled": chosen}


def prove(given: tuple[Tensor, Tensor, Tensor], lists: BlockLists, bound: str, options: argparse.Namespace) -> Row:
    """Return shares and times of one proof."""

    def certify(repair: bool) -> Any:
        return attend_certified(*given, lists, options.alpha, repair=repair, bound=bound)

    work = certify(repair=True).work
    row = {"certified": work.certified_before, "kept_before": work.kept_before, "kept_after": work.kept_after}
    row["rounds"] = work.rounds
    if not options.repeats:
        return row
    full = milliseconds(lambda: attend(*given, alpha=options.alpha), options.repeats)
    attended = milliseconds(lambda: attend(*given, lists, options.alpha), options.repeats)
    proven = milliseconds(lambda: certify(repair=False), options.repeats)
    repaired = milliseconds(lambda: certify(repair=True), options.repeats)
    times = {"full_ms": full, "attend_ms": attended, "bounds_ms": proven - attended, "repair_ms": repaired - proven}
    return row | times | {"times": full / repaired}


if __name__ == "__main__":
    main()
