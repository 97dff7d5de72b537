"""The columns of times, and the break-even of each method; works without torch."""

from __future__ import annotations

import pandas as pd

from sparse_attention.predictors.registry import discover

SDPA, DENSE = "sdpa", "dense"
"""The methods without prediction: PyTorch's dense softmax attention, and ours, softmax or entmax."""
SOFTMAX, ENTMAX = COMPUTED = ("softmax", "entmax")
"""What is computed over the blocks."""
COLUMNS = (
    "length", "method", "label", "order", "computed", "block", "asked", "kept",
    "predict_ms", "build_ms", "attend_ms", "total_ms", "sdpa_ms", "speedup", "peak_mib", "threads", "kernel",
)  # fmt: skip
"""Columns of the table of one job."""
RUN = ("attention", "seed")
"""Columns that tell language models apart; tables of one job lack them."""
POINT = ("method", "label", "order", "computed", "block", "asked")
"""Columns in which the rows of one method at different lengths agree."""
FASTER_THAN_SDPA, FASTER_THAN_ENTMAX = "faster_than_sdpa", "faster_than_entmax"


def label_of(method: str) -> str:
    """Return the name of a method for readers: of a predictor its label."""
    known = {SDPA: "Dense softmax (SDPA)", DENSE: "Dense"}
    return known.get(method) or (discover()[method].label if method in discover() else method)


def break_even(times: pd.DataFrame) -> pd.DataFrame:
    """Return from which measured length on each method takes less time than dense attention.

    A method that is as fast is not faster, and one that is faster only at shorter lengths counts as never faster.

    Parameters
    ----------
    times : pandas.DataFrame
        Columns `length`, `kept`, `total_ms` and `sdpa_ms`, and those of `POINT` and `RUN`, of which `label`,
        `attention` and `seed` may be missing.

    Returns
    -------
    pandas.DataFrame
        The given ones of `RUN` and `POINT`, `kept` (at the largest length), then Int64: `lengths` (how many were
        measured), `faster_than_sdpa` and `faster_than_entmax`, the smallest length from which on the method is faster
        than PyTorch's dense softmax attention and than our dense entmax attention; missing where it is not faster at
        the largest length, or where dense entmax was not timed.
    """
    run = [name for name in RUN if name in times]
    entmax = times[(times["method"] == DENSE) & (times["computed"] == ENTMAX)]
    dense = entmax[[*run, "length", "total_ms"]].rename(columns={"total_ms": "dense_ms"})
    rows = times[(times["block"] > 0) | (times["method"] == DENSE)]
    rows = rows.merge(dense, on=[*run, "length"], how="left", validate="many_to_one")
    found = []
    keys = [*run, *(name for name in POINT if name in times)]
    for names, group in rows.groupby(keys, sort=False):
        kept = group.sort_values("length")["kept"].iloc[-1]
        lengths = [_from(group, column) for column in ("sdpa_ms", "dense_ms")]
        found.append((*names, kept, group["length"].nunique(), *lengths))
    columns = [*keys, "kept", "lengths", FASTER_THAN_SDPA, FASTER_THAN_ENTMAX]
    table = pd.DataFrame(found, columns=columns)
    return table.astype(dict.fromkeys(columns[-3:], "Int64"))


def _from(group: pd.DataFrame, dense: str) -> int | None:
    """Return the smallest length from which on all total times are below those of a column."""
    ordered = group.sort_values("length", ascending=False)
    faster = (ordered["total_ms"] < ordered[dense]).cumprod().astype(bool)
    return int(ordered["length"][faster].min()) if faster.any() else None
