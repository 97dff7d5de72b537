"""How long a classifier takes for functions: padded, without padding, with pruned tokens hidden, and really removed."""

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
    """Time every way on the same batches, in turn, so that a machine's moods meet all of them.

    Parameters
    ----------
    dense, hard : PrunedClassifier
        `padded` is the library's own forward pass on batches padded to the longest function of all; `unpadded` is ours
        with padding removed and nothing pruned, the honest baseline; `masked` and `dropped` prune. Both that remove
        compute CLS alone in the last layer.
    tokens : CodeTokens
    functions : sequence of int
    batch_sizes : sequence of int
        Batches are of similar length.
    repeats : int
        The median of so many is taken, after one that is not counted.

    Returns
    -------
    DataFrame
        One row per way and batch size, columns `COLUMNS`; `speedup` is over `unpadded` at the same batch size.
    """
    lengths = tokens.lengths[torch.tensor(list(functions))]
    longest, total, rows = int(lengths.max()), int(lengths.sum()), []
    for batch_size in batch_sizes:
        runs = _runs(dense, hard, tokens.info.pad, longest)
        batches = [tokens.batch(chosen) for chosen in by_length(functions, tokens.lengths, batch_size)]
        device = dense.thresholds.base.device
        moved = [(batch.ids.to(device), batch.mask.to(device)) for batch in batches]
        ways = {way: _over(runs[way], moved) for way in WAYS if way != "dropped" or hard.can_drop}
        found = medians(ways, repeats, device)
        for way, taken in found.items():
            pace = {
                "milliseconds_per_function": 1000 * taken / len(lengths),
                "functions_per_second": len(lengths) / taken,
            }
            counts = {"way": way, "batch_size": batch_size, "functions": len(lengths), "tokens": total}
            rows.append({**counts, **pace, "speedup": found["unpadded"] / taken})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _runs(dense: PrunedClassifier, hard: PrunedClassifier, pad: int, longest: int) -> dict[str, Run]:
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


def _over(run: Run, batches: Sequence[tuple[Tensor, Tensor]]) -> Callable[[], object]:
    return lambda: [run(ids, mask) for ids, mask in batches]


@torch.no_grad()
def medians(ways: Mapping[str, Callable[[], object]], repeats: int, device: torch.device) -> dict[str, float]:
    """Return the median seconds of each way; all take turns `repeats` times, after a round that is not counted."""
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
