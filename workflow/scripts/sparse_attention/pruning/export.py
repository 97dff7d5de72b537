"""Export the data set after pruning: the surviving tokens as tables, and as text for other models."""

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
"""File name of each split as the published code spells it; there `dev` is the test set, and no test file exists."""


@dataclass(frozen=True)
class Traced:
    """The tokens of a function, and the layers that keep them.

    Attributes
    ----------
    function : int
        Index of the function.
    probability : float
        Probability of label 1.
    ids : list of int
        Token ids.
    spans : list of tuple
        Start and end of the characters of the source that each token covers; (0, 0) for special tokens.
    last_layer : list of int
        Number of layers that keep each token: 0 when the first layer prunes it, the number of layers when it survives.
    score : list of float
        Importance score of each token in the layer that prunes it, or in the last layer.
    """

    function: int
    probability: float
    ids: list[int]
    spans: list[tuple[int, int]]
    last_layer: list[int]
    score: list[float]


@torch.no_grad()
def trace(model: PrunedClassifier, tokens: CodeTokens, functions: Sequence[int], batch_size: int) -> dict[int, Traced]:
    """Prune functions with hard masks, and return their traced tokens by function, in the order of `functions`."""
    layers, device = len(model.thresholds.base), model.thresholds.base.device
    traced: dict[int, Traced] = {}
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
            traced[function] = Traced(
                function, probabilities[row], tokens.ids[place].tolist(), spans, last[row, :n].tolist(),
                scores[row, :n].tolist(),
            )  # fmt: skip
    return {function: traced[function] for function in functions}


def surviving_text(source: str, traced: Traced, layers: int) -> str:
    """Return the text of the tokens that survive all `layers`, or, if none does, of those that survive longest.

    Characters between two neighbouring tokens are kept. Pruned tokens between two survivors are replaced by one space,
    or by a line break when a line ends between them. A character that several tokens share survives with any of them.
    """
    survived: dict[tuple[int, int], int] = {}
    for span, last in zip(traced.spans, traced.last_layer, strict=True):
        if span[0] < span[1]:  # empty spans are special tokens
            survived[span] = max(last, survived.get(span, 0))
    visible = [last for (start, end), last in survived.items() if source[start:end].strip()]
    wanted = min(layers, max(visible, default=0))
    parts: list[str] = []
    before, gap = 0, False
    for (start, end), last in survived.items():
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
    """Yield the traced functions with their surviving text as source."""
    for number, tokens in traced.items():
        function = functions[number]
        yield replace(function, source=surviving_text(function.source, tokens, layers), lines=())


def rows(functions: Sequence[Function], traced: dict[int, Traced], layers: int) -> Iterator[dict[str, object]]:
    """Yield one row per function for Parquet and JSON lines; docs/file-formats.md describes the columns."""
    for number, tokens in traced.items():
        function = functions[number]
        yield {
            "function": number,
            "split": function.split,
            "label": function.label,
            "project": function.project,
            "path": function.path,
            "rule": function.rule,
            "probability": tokens.probability,
            "token_ids": tokens.ids,
            "spans": [list(span) for span in tokens.spans],
            "last_layer": tokens.last_layer,
            "score": tokens.score,
            "functionSource": surviving_text(function.source, tokens, layers),
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
    """Write two files per split.

    `{split}.csv` has the columns functionSource, label and project; the file in `original/` has label and code, as the
    published code reads it.
    """
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
