"""Time predicted sparse attention against dense attention, in one run on this machine.

Usage: python benchmarks/attention.py --lengths 1024 4096 --kept 0.1 --methods quest kmeans --json attention.json
       python benchmarks/attention.py --source results/qk/{run}/validation
       python benchmarks/attention.py --source SmolLM2-135M --text article.txt --lengths 2048 8192

Queries and keys are random, or those of a store that the workflow made (at the length of its longest example; at
greater `--lengths` those of several examples one after another), or those of a layer of a model, such as SmolLM2-135M
of the Hugging Face Hub, that reads the beginning of a text.

For every length, block size and asked share of kept blocks, each method runs at the point that keeps nearest to that
share. `kept` is the share that it does keep, of the blocks with a visible pair. Times are medians of `--repeats`, in
milliseconds: `predict_ms` from queries and keys to kept blocks or buckets, `build_ms` from there to lists, `attend_ms`
over the lists, `total_ms` their sum. `sdpa_ms` is PyTorch's dense softmax attention on the same inputs, and `speedup`
says how many times faster a row is. `peak_mib` is the memory that a row takes at most. `computed` is softmax or entmax.
Quantizers are measured twice: with blocks of neighbouring tokens, and with tokens sorted by bucket (`order`).

Projections are random and few values are learned: they change what is kept, not what it costs. The workflow measures
the same on its own queries and keys (`time_attention` in the configuration).
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in the workflow: waiting threads must not spin

import pandas as pd
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow" / "scripts"))
from attending.baselines import BASELINES, rows_of_given_lists, rows_without_blocks
from attending.sources import Source, open_source

from sparse_attention.attention.masks import KEEP
from sparse_attention.attention_timing.rows import Measured, Row, Wanted, predicted_rows
from sparse_attention.attention_timing.table import COMPUTED, break_even
from sparse_attention.block_sparse.dispatch import use_kernels
from sparse_attention.errors import InputError
from sparse_attention.plotting import style
from sparse_attention.plotting.attention_timings import draw_timings
from sparse_attention.predictors.registry import discover
from sparse_attention.settings.ladders import LADDERS

METHODS = ("window", "fixed", "kmeans", "reformer", "routing", "quest", "gaussian_pages", "xattention", "oracle")


def main() -> None:
    """Print a table of all rows and the break-even lengths; write what is asked for."""
    options = arguments().parse_args()
    torch.set_num_threads(options.threads)
    kernel = use_kernels("auto")
    conditions = {"threads": options.threads, "torch": torch.__version__, "machine": platform.machine(), **kernel}
    print("; ".join(f"{name}: {value}" for name, value in conditions.items()))
    quadratic = [name for name in options.methods if discover()[name].quadratic]
    print(f"methods that predict every pair of tokens: {', '.join(quadratic) or 'none'}")
    rows: list[Row] = []
    source = open_source(options)
    for length in source.lengths(options.lengths):
        for row in rows_of(source, length, options):
            rows.append(row)
            print("  ".join(f"{name} {value}" for name, value in row.items()), flush=True)
    table = pd.DataFrame(rows)
    print(table.to_string(index=False))
    print("\nfaster than SDPA, and than dense entmax, from this length on (<NA>: at none)")
    print(break_even(table).to_string(index=False))
    if options.json:
        Path(options.json).write_text(json.dumps({"conditions": conditions, "rows": rows}, indent=1) + "\n")
    if options.figure:
        Path(options.figure).parent.mkdir(parents=True, exist_ok=True)
        style.save(draw_timings(table, "Attention over predicted blocks", source.name), [options.figure])


def rows_of(source: Source, length: int, options: argparse.Namespace) -> Iterator[Row]:
    """Yield the rows of all methods at one length."""
    wanted = Wanted(options.methods, options.kept, options.block_sizes, options.attentions,
                    repeats=options.repeats, window=options.window, keep=options.keep)  # fmt: skip
    measured = Measured(source.at(length), wanted)
    rows = [rows_without_blocks(measured, options.baselines)]
    for block, share in itertools.product(wanted.block_sizes, wanted.kept):
        rows.append(rows_of_given_lists(measured, options.baselines, share, block))
        rows += [predicted_rows(measured, name, share, block) for name in wanted.predictors]
    for row in itertools.chain.from_iterable(rows):
        yield {"source": source.name, **row}


def arguments() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--lengths", type=int, nargs="+", help="tokens, by default 512 to 4096, or those of the store's longest example"
    )
    parser.add_argument("--kept", type=float, nargs="+", default=[0.5, 0.1, 0.05, 0.02], help="shares of blocks")
    parser.add_argument("--block-sizes", type=int, nargs="+", default=[64], help="tokens, multiples of 16")
    parser.add_argument("--methods", nargs="*", choices=sorted(LADDERS), default=METHODS, metavar="PREDICTOR")
    parser.add_argument("--baselines", nargs="*", choices=BASELINES, default=BASELINES, help=", ".join(BASELINES))
    parser.add_argument("--attentions", nargs="+", choices=COMPUTED, default=COMPUTED, help="over the lists")
    parser.add_argument("--window", type=int, default=0, help="neighbours that are always kept, 0 or odd")
    parser.add_argument("--keep", choices=list(KEEP), default="none", help="tokens that are always kept")
    parser.add_argument("--source", default="random", help="random, a folder of queries and keys, or a model folder")
    parser.add_argument("--text", help="file that the model reads")
    parser.add_argument("--layer", type=int, help="layer of the store or the model; by default the middle one")
    parser.add_argument("--heads", type=int, default=12, help="of random queries")
    parser.add_argument("--dim", type=int, default=64, help="dimensions of a random head")
    parser.add_argument("--deviation", type=float, default=2.0, help="standard deviation of random queries and keys")
    parser.add_argument("--causal", action="store_true", help="random queries see no later key")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", help="file for the rows")
    parser.add_argument("--figure", help="file for a figure of time and memory by length: .svg, .pdf or .png")
    return parser


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
