"""Sum rows up: the break-even of each method, and a figure of time and memory by length."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

GROUP = ["method", "order", "attention", "block", "asked"]
PREDICTED = "predict_ms"


def break_even(rows: pd.DataFrame) -> pd.DataFrame:
    """Return for each method the smallest measured length from which on it takes less time than SDPA; 0 for none."""
    found = []
    for names, group in rows[rows["block"] > 0].groupby(GROUP, sort=False):
        ordered = group.sort_values("length", ascending=False)
        faster = (ordered["total_ms"] < ordered["sdpa_ms"]).cumprod().astype(bool)
        smallest = ordered["length"][faster].min() if faster.any() else 0
        found.append((*names, round(group["kept"].mean(), 3), int(smallest)))
    return pd.DataFrame(found, columns=[*GROUP, "kept", "from_length"])


def draw(rows: pd.DataFrame, file: str) -> None:
    """Draw time and memory of every method by length, on logarithmic axes, a column for each asked share.

    With several block sizes, the smallest is drawn; of attentions, the last one of the rows' lists.
    """
    lists = rows[rows["block"] > 0]
    lists = lists[(lists["block"] == lists["block"].min()) & (lists["attention"] != "flex")]
    lists = lists[lists["attention"] == lists["attention"].iloc[-1]]
    shares = sorted(lists["asked"].unique(), reverse=True)
    figure, axes = plt.subplots(2, len(shares), figsize=(4 * len(shares) + 2, 7), sharex=True, sharey="row",
                                squeeze=False, layout="constrained")  # fmt: skip
    sdpa = rows.drop_duplicates("length").sort_values("length")
    dense = rows[rows["method"] == "sdpa"].sort_values("length")
    colours = dict(zip(lists["method"].unique(), cycle(plt.get_cmap("tab20").colors), strict=False))
    for column, share in enumerate(shares):
        time, memory = axes[:, column]
        time.plot(sdpa["length"], sdpa["sdpa_ms"], "k--", label="SDPA, dense softmax")
        memory.plot(dense["length"], dense["peak_mib"].astype(float), "k--")
        for (method, order), group in lists[lists["asked"] == share].groupby(["method", "order"], sort=False):
            group = group.sort_values("length")
            label, line = (method, "-") if order == "tokens" else (f"{method}, sorted", ":")
            style = {"marker": ".", "linestyle": line, "color": colours[method]}
            time.plot(group["length"], group["total_ms"], label=label, **style)
            memory.plot(group["length"], group["peak_mib"].astype(float), **style)
        time.set_title(f"about {share:.3g} of the blocks kept")
    _label(axes[0, 0], "milliseconds: predict, build, attend", list(sdpa["length"]))
    _label(axes[1, 0], "peak memory, MiB", list(sdpa["length"]))
    for axis in axes[1]:
        axis.set_xlabel(f"tokens ({lists['attention'].iloc[0]})")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right center")
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)
    plt.close(figure)


def _label(axis: Axes, text: str, lengths: list[int]) -> None:
    axis.set_ylabel(text)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.xaxis.set_major_locator(FixedLocator(lengths))
    axis.xaxis.set_major_formatter("{x:.0f}")
    axis.xaxis.set_minor_locator(NullLocator())
