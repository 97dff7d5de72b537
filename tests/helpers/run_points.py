"""Jobs that run the language model under full and predicted attention, small enough to compute by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from sparse_attention.metrics.facts import support_metrics
from sparse_attention.predictors.registry import discover
from sparse_attention.settings.grids import NO_PROJECTION
from sparse_attention.summaries.sparse_mlm_jobs import FULL, OF_HEADS, POINT, Job

DOCUMENTS, MASKED = ("a", "a", "b"), (10, 30, 20)
"""The documents of three blocks, and their masked tokens."""
PLAIN = {"window": 0, "keep": "none", "dense_empty_rows": False}


def losses(values: Sequence[float], **point: Any) -> pd.DataFrame:
    """Return the rows of one point, with an accuracy of a tenth of the loss."""
    blocks = {"block": range(len(values)), "document": DOCUMENTS[: len(values)], "masked_tokens": MASKED[: len(values)]}
    return pd.DataFrame({"setting": "", **PLAIN, **point, **blocks, "loss": values}).assign(
        accuracy=lambda rows: rows["loss"] / 10
    )


def heads(current: float, dense: float, **point: Any) -> pd.DataFrame:
    """Return the rows of one point: two layers of two heads, with values around the given mean."""
    rows = []
    for gold, mean in (("current", current), ("dense", dense)):
        for layer, head in ((0, 0), (0, 1), (1, 0), (1, 1)):
            value = mean + 0.01 * (2 * layer + head - 1.5)
            measured = dict.fromkeys(support_metrics(), value) | {
                "output_error": 1 - value,
                "empty_queries": value / 10,
            }
            row = {"setting": "", **PLAIN, **point, "gold": gold, "layer": layer, "head": head, "examples": 3}
            rows.append(row | measured)
    return pd.DataFrame(rows)


def full(values: Sequence[float], attention: str = "entmax~1.5", seed: int = 1, steps: int = 0) -> Job:
    """Return the job of full attention, after `steps` of further training."""
    run: dict[str, Any] = {"predictor": FULL, "label": "Full attention", "projection": NO_PROJECTION}
    run |= {"steps": steps} if steps else {}
    nothing = pd.DataFrame(columns=[*POINT, *OF_HEADS])
    return Job(run | {"attention": attention, "seed": seed}, f"full-{seed}.tsv", losses(values), "", nothing)


def job(predictor: str, points: Mapping[str, Sequence[float]], seed: int = 1, **more: Any) -> Job:
    """Return a job under predicted attention: losses by setting; `more` are columns, `steps` and `measured`."""
    facts, steps, measured = discover()[predictor].facts, more.pop("steps", None), more.pop("measured", (0.5, 0.4))
    run = {"predictor": predictor, **facts, "projection": NO_PROJECTION, "attention": "entmax~1.5", "seed": seed}
    run |= {} if steps is None else {"steps": steps}
    of_losses = [losses(values, setting=setting, **more) for setting, values in points.items()]
    of_heads = [heads(*measured, setting=setting, **more) for setting in points]
    return Job(
        run, f"{predictor}-{seed}.tsv", pd.concat(of_losses), f"{predictor}-{seed}-heads.tsv", pd.concat(of_heads)
    )
