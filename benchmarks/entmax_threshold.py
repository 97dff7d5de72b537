"""Time our entmax against that of the package `entmax`, which sorts the scores, in one run on this machine.

Usage: python benchmarks/entmax_threshold.py [--heads 48] [--length 512] [--threads 2] [--repeats 5]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from entmax import entmax15, entmax_bisect, sparsemax

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow" / "scripts"))
from sparse_attention.attention.entmax import entmax


def seconds(
    function: Callable[[torch.Tensor], torch.Tensor], scores: torch.Tensor, repeats: int
) -> tuple[float, float]:
    """Return the median seconds of a forward pass, and of a forward and backward pass, without the first repeat."""
    forward, both = [], []
    for repeat in range(repeats + 1):
        leaf = scores.clone().requires_grad_()
        start = time.perf_counter()
        result = function(leaf)
        middle = time.perf_counter()
        result.backward(scores)
        if repeat:
            forward.append(middle - start)
            both.append(time.perf_counter() - start)
    return statistics.median(forward), statistics.median(both)


def main() -> None:
    """Print one line per alpha and scale: seconds, ratio and the largest difference of the probabilities."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("heads", 48), ("length", 512), ("threads", 2), ("repeats", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    shape = f"{options.heads} x {options.length} x {options.length}"
    print(f"{shape} float32, {options.threads} threads, torch {torch.__version__}")
    package = {
        1.5: lambda scores: entmax15(scores, dim=-1),
        2.0: lambda scores: sparsemax(scores, dim=-1),
        1.25: lambda scores: entmax_bisect(scores, alpha=1.25, dim=-1),
    }
    for alpha, theirs in package.items():
        for scale in (1.0, 5.0):
            scores = scale * torch.randn(options.heads, options.length, options.length)
            reference = theirs(scores)
            gap = (entmax(scores, alpha) - reference).abs().max().item()
            ours_forward, ours_both = seconds(lambda leaf, alpha=alpha: entmax(leaf, alpha), scores, options.repeats)
            their_forward, their_both = seconds(theirs, scores, options.repeats)
            print(
                f"alpha {alpha}, standard deviation {scale}, sparsity {(reference == 0).float().mean():.3f}: "
                f"forward {ours_forward:.3f} s against {their_forward:.3f} s "
                f"({their_forward / ours_forward:.1f} times faster), "
                f"with backward {ours_both:.3f} s against {their_both:.3f} s ({their_both / ours_both:.1f} times); "
                f"largest difference {gap:.1e}"
            )


if __name__ == "__main__":
    main()
