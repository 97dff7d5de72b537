"""Time a classifier on functions: with padding, without padding, with pruned tokens hidden, and removed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import pandas as pd
import torch
from torch import Tensor

from sparse_attention.data.code.tokens import CodeTokens
from sparse_attention.pruning.batches import by_length
from sparse_attention.pruning.model import PrunedClassifier

WAYS = ("padded", "unpadded", "masked", "dropped")
COLUMNS = ("way", "batch_size", "functions", "tokens", "milliseconds_per_function", "functions_per_second", "speedup")
Run = Callable[[Tensor, Tensor], object]


def time_ways(
    dense: PrunedClassifier,
    hard: PrunedClassifier,
    tokens: CodeTokens,
    functions: Sequence[int],
    batch_sizes: Sequence[int],
    repeats: int,
) -> pd.DataFrame:
    """Time every way of `WAYS` on the same batches, in turn, so that changes in the machine's load affect all alike.

    `padded` is the forward pass of transformers on batches padded to the longest function of all. `unpadded` removes
    padding and prunes nothing; it is the baseline. `masked` hides pruned tokens, and `dropped` removes them. `unpadded`
    and `dropped` compute only CLS in the last layer.

    Parameters
    ----------
    dense, hard : PrunedClassifier
        Model that does not prune, and model with hard masks.
    tokens : CodeTokens
        Tokens of all functions.
    functions : sequence of int
        Functions to time.
    batch_sizes : sequence of int
        Functions of a batch; those of a batch have similar lengths.
    repeats : int
        Number of rounds of which the median is taken, after one that is not counted.

    Returns
    -------
    DataFrame
        One row per way and batch size, columns `COLUMNS`; `speedup` is the time of `unpadded` at the same batch size
        over that of the way.
    """
    lengths = tokens.lengths[torch.tensor(list(functions))]
    longest, total, rows = int(lengths.max()), int(lengths.sum()), []
    for batch_size in batch_sizes:
        runs = _runs(dense, hard, tokens.info.pad, longest)
        batches = [tokens.batch(chosen) for chosen in by_length(functions, tokens.lengths, batch_size)]
        device = dense.thresholds.base.device
        on_device = [(batch.ids.to(device), batch.mask.to(device)) for batch in batches]
        ways = {way: _over_batches(runs[way], on_device) for way in WAYS if way != "dropped" or hard.can_drop}
        seconds = medians(ways, repeats, device)
        for way, taken in seconds.items():
            speed = {
                "milliseconds_per_function": 1000 * taken / len(lengths),
                "functions_per_second": len(lengths) / taken,
            }
            counts = {"way": way, "batch_size": batch_size, "functions": len(lengths), "tokens": total}
            rows.append({**counts, **speed, "speedup": seconds["unpadded"] / taken})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _runs(dense: PrunedClassifier, hard: PrunedClassifier, pad: int, longest: int) -> dict[str, Run]:
    """Return a function for each way that classifies a batch of ids and mask."""

    def padded(ids: Tensor, mask: Tensor) -> object:
        beyond = (0, longest - ids.shape[1])
        wide = torch.nn.functional.pad(ids, beyond, value=pad), torch.nn.functional.pad(mask, beyond)
        return dense.classifier(input_ids=wide[0], attention_mask=wide[1])

    return {
        "padded": padded,
        "unpadded": lambda ids, mask: dense.predict_dropped(ids, mask, prune=False, logits_only=True),
        "masked": lambda ids, mask: hard(ids, mask, "hard"),
        "dropped": lambda ids, mask: hard.predict_dropped(ids, mask, logits_only=True),
    }


def _over_batches(run: Run, batches: Sequence[tuple[Tensor, Tensor]]) -> Callable[[], object]:
    return lambda: [run(ids, mask) for ids, mask in batches]


@torch.no_grad()
def medians(ways: Mapping[str, Callable[[], object]], repeats: int, device: torch.device) -> dict[str, float]:
    """Return the median seconds of each way over `repeats` rounds, after a round that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(repeats + 1):
        for name, way in ways.items():
            _wait(device)
            start = time.perf_counter()
            way()
            _wait(device)
            if repeat:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
