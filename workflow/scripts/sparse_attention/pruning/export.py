"""The data set after pruning: which tokens survive, as tables for programs and as text for other models."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from sparse_attention.data.code.functions import Function
from sparse_attention.data.code.tokens import CodeTokens
from sparse_attention.data.splits import SPLITS
from sparse_attention.files.atomic import atomic_path
from sparse_attention.jobs.progress import progress
from sparse_attention.pruning.batches import by_length
from sparse_attention.pruning.model import PrunedClassifier

ORIGINAL = {"train": "train_pruned.csv", "validation": "dev_pruned.csv", "test": "test_pruned.csv"}
"""The original's file of each split; it has no test file, its `dev` being the test set."""


@dataclass(frozen=True)
class Traced:
    """What became of a function's tokens.

    Attributes
    ----------
    function : int
        Its place among the functions.
    probability : float
        Of label 1.
    ids : list of int
        Token ids.
    spans : list of tuple
        The characters of the source that each token covers; (0, 0) for special tokens.
    last_layer : list of int
        The number of layers that keep the token: 0 when the first layer prunes it, all when it survives.
    score : list of float
        Its importance score in the layer that prunes it, or in the last layer.
    """

    function: int
    probability: float
    ids: list[int]
    spans: list[tuple[int, int]]
    last_layer: list[int]
    score: list[float]


@torch.no_grad()
def trace(model: PrunedClassifier, tokens: CodeTokens, functions: Sequence[int], batch_size: int) -> dict[int, Traced]:
    """Prune functions hard, and return what became of their tokens, by function in the order given."""
    layers, device = len(model.thresholds.base), model.thresholds.base.device
    found: dict[int, Traced] = {}
    batches = list(by_length(functions, tokens.lengths, batch_size))
    for chosen in progress(batches, len(batches), "tracing tokens"):
        batch = tokens.batch(chosen)
        pruned = model(batch.ids.to(device), batch.mask.to(device), "hard")
        last = pruned.keep.long().sum(0)
        scores = pruned.scores.gather(0, last.clamp_max(layers - 1)[None])[0]
        probabilities = pruned.logits.double().softmax(-1)[:, 1].tolist()
        for row, function in enumerate(chosen):
            place, n = tokens.slice_of(function), int(tokens.lengths[function])
            spans = [(start, end) for start, end in tokens.spans[place].tolist()]
            found[function] = Traced(
                function, probabilities[row], tokens.ids[place].tolist(), spans, last[row, :n].tolist(),
                scores[row, :n].tolist(),
            )  # fmt: skip
    return {function: found[function] for function in functions}


def surviving_text(source: str, traced: Traced, layers: int) -> str:
    """Return the source's text of the tokens that survive all `layers`, or else of those that last longest.

    Between neighbours the source's own characters stay; where tokens are left out stands one space, or a line break
    where a line ended in between. A character that several tokens share survives with any of them.
    """
    lasting: dict[tuple[int, int], int] = {}
    for span, last in zip(traced.spans, traced.last_layer, strict=True):
        if span[0] < span[1]:  # others are special tokens
            lasting[span] = max(last, lasting.get(span, 0))
    visible = [last for (start, end), last in lasting.items() if source[start:end].strip()]
    wanted = min(layers, max(visible, default=0))
    parts: list[str] = []
    before, gap = 0, False
    for (start, end), last in lasting.items():
        if last < wanted:
            gap = True
            continue
        between = source[before:start]
        if gap:
            between = ("\n" if "\n" in between else " ") if parts else ""
        parts += [between, source[start:end]]
        before, gap = end, False
    return "".join(parts).strip("\n")


def pruned_functions(functions: Sequence[Function], traced: dict[int, Traced], layers: int) -> Iterator[Function]:
    """Yield the traced functions with what survives as their source."""
    for number, found in traced.items():
        function = functions[number]
        yield replace(function, source=surviving_text(function.source, found, layers), lines=())


def rows(functions: Sequence[Function], traced: dict[int, Traced], layers: int) -> Iterator[dict[str, object]]:
    """Yield one row per function for Parquet and JSON lines; docs/file-formats.md names the columns."""
    for number, found in traced.items():
        function = functions[number]
        yield {
            "function": number,
            "split": function.split,
            "label": function.label,
            "project": function.project,
            "path": function.path,
            "rule": function.rule,
            "probability": found.probability,
            "token_ids": found.ids,
            "spans": [list(span) for span in found.spans],
            "last_layer": found.last_layer,
            "score": found.score,
            "functionSource": surviving_text(function.source, found, layers),
        }


def write_rows(content: Sequence[dict[str, object]], parquet_path: Path, jsonl_path: Path) -> None:
    """Write the same rows as Parquet and as JSON lines."""
    import pyarrow
    from pyarrow import parquet

    with atomic_path(parquet_path) as partial:
        parquet.write_table(pyarrow.Table.from_pylist(list(content)), partial)
    with atomic_path(jsonl_path) as partial, open(partial, "w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in content)


def write_csvs(functions: Sequence[Function], folder: Path) -> None:
    """Write a file per split: `{split}.csv` with functionSource, label and project, and the original's `label,code`."""
    for split in SPLITS:
        own = [function for function in functions if function.split == split]
        columns = ("functionSource", "label", "project")
        _write_csv(folder / f"{split}.csv", columns, [(one.source, one.label, one.project) for one in own])
        _write_csv(folder / "original" / ORIGINAL[split], ("label", "code"), [(one.label, one.source) for one in own])


def _write_csv(path: Path, columns: Sequence[str], content: Sequence[tuple[object, ...]]) -> None:
    with atomic_path(path) as partial, open(partial, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(content)
