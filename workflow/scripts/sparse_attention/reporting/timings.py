"""Write the sentences on the time of attention over predicted blocks, and on the lengths at which predicting pays."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from sparse_attention.attention_timing.table import (
    DENSE,
    ENTMAX,
    FASTER_THAN_ENTMAX,
    FASTER_THAN_SDPA,
    RUN,
    break_even,
)
from sparse_attention.reporting.findings import percent
from sparse_attention.summaries.wording import count, joined, spell

NEAR = 1.5
"""A predictor whose kept share of blocks differs from the share asked for by a larger factor is named with it."""
KERNELS = {"cpu": "compiled kernel", "reference": "PyTorch's operations in place of a compiled kernel"}


def attention(times: pd.DataFrame) -> list[str]:
    """Say from which measured length on predicting pays, and where it does not.

    Of several asked shares of blocks the smallest is reported, of entmax and softmax entmax where it was timed.

    Parameters
    ----------
    times : pandas.DataFrame
        The table `attention_timings`.
    """
    sentences = []
    for start, rows, lists in _models(times):
        lengths = sorted(rows["length"].unique())
        first, at = lists.iloc[0], joined([f"{length:,}" for length in lengths])
        sentences.append(
            f"{start}{first['computed'].capitalize()} attention over predicted blocks of {first['block']} × "
            f"{first['block']} tokens was timed on this machine at {at} tokens, prediction included "
            f"({count(first['threads'], 'thread')}, {KERNELS.get(first['kernel'], first['kernel'])}); each predictor "
            f"keeps about {percent(first['asked'])} of the blocks where it can."
        )
        even = break_even(rows)
        found = _in_fastest_orders(even, lists)
        sentences.append(_against(found, lists, FASTER_THAN_SDPA, "sdpa_ms", "dense softmax attention (SDPA)"))
        dense = rows[(rows["method"] == DENSE) & (rows["computed"] == ENTMAX)]
        if len(dense):
            own = even[(even["method"] == DENSE) & (even["computed"] == ENTMAX)].iloc[0]
            sentences.append(_without_prediction(own, lengths[-1]))
            beside = lists.merge(dense[["length", "total_ms"]].rename(columns={"total_ms": "dense_ms"}), on="length")
            sentences.append(_against(found, beside, FASTER_THAN_ENTMAX, "dense_ms", "our own dense entmax attention"))
        sentences.append(_fastest(lists))
    return sentences


def _models(times: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame, pd.DataFrame]]:
    """Yield a prefix, all rows, and the reported rows over blocks, of each language model."""
    groups = list(times.groupby(list(RUN), sort=False))
    for (attention, *_), rows in groups:
        lists = rows[rows["block"] > 0]
        if lists.empty:
            continue
        lists = lists[lists["asked"] == lists["asked"].min()]
        lists = lists[lists["computed"] == (ENTMAX if ENTMAX in set(lists["computed"]) else lists["computed"].iloc[0])]
        yield (f"For {spell(attention)}: " if len(groups) > 1 else ""), rows, lists


def _in_fastest_orders(even: pd.DataFrame, lists: pd.DataFrame) -> pd.DataFrame:
    """Return the break-even of each predictor in the order of tokens in which it is fastest at its largest length."""
    longest = lists[lists["length"] == lists["length"].max()].sort_values("total_ms", kind="stable")
    fastest = longest.drop_duplicates("method")[["method", "order", "computed", "block", "asked"]]
    return fastest.merge(even, on=list(fastest.columns))


def _against(found: pd.DataFrame, lists: pd.DataFrame, column: str, dense_ms: str, dense: str) -> str:
    """Say with which predictors, and from which length on, predicting takes less time than dense attention."""
    paying = found.dropna(subset=column).sort_values(column, kind="stable")
    never, longest = found[found[column].isna()], f"{lists['length'].max():,} tokens"
    if paying.empty:
        return f"Predicting does not pay: no predictor is faster than {dense} at {longest}."
    least = paying[column].iloc[0]
    before = lists[lists["length"] < least]
    if before.empty:
        start = f"Against {dense}, predicting pays"
    elif (before["total_ms"] < before[dense_ms]).any():
        start = f"Against {dense}, predicting pays reliably"
    else:
        start = f"Below {least:,} tokens predicting does not pay: no predictor is faster than {dense}. It pays"
    parts = [f"from {length:,} tokens on with {_names(own)}" for length, own in paying.groupby(column)]
    after = f"; with {_names(never)} it does not at {longest}" if len(never) else ""
    return f"{start} {joined(parts)}{after}."


def _names(rows: pd.DataFrame) -> str:
    return joined([_named(row) for _, row in rows.iterrows()])


def _named(row: pd.Series) -> str:
    """Return the predictor, with the share of blocks that it keeps if that is far from what was asked for."""
    far = not 1 / NEAR <= row["kept"] / row["asked"] <= NEAR
    return f"{row['label']} (which keeps {percent(row['kept'])})" if far else str(row["label"])


def _without_prediction(row: pd.Series, longest: int) -> str:
    length = row[FASTER_THAN_SDPA]
    if pd.isna(length):
        return f"Dense entmax attention, without any prediction, is not faster than SDPA at {longest:,} tokens."
    return f"Dense entmax attention, without any prediction, is faster than SDPA from {length:,} tokens on."


def _fastest(lists: pd.DataFrame) -> str:
    """Name the predictor that is fastest at the largest length, with the parts of its time."""
    longest = lists[lists["length"] == lists["length"].max()]
    best = longest.loc[longest["total_ms"].idxmin()]
    share = (best["predict_ms"] + best["build_ms"]) / best["total_ms"]
    return (
        f"At {best['length']:,} tokens {best['label']} is fastest of the predictors, {best['speedup']:.1f} times as "
        f"fast as SDPA with {percent(best['kept'])} of the blocks kept; {percent(share)} of its time is for predicting "
        "and listing blocks."
    )
