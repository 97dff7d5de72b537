"""Write the main sentences of the report from the published tables."""

from __future__ import annotations

from typing import Any

import pandas as pd

from sparse_attention.plotting.predictor_styles import group_of
from sparse_attention.predictors.registry import IGNORES_CONTENT
from sparse_attention.summaries.wording import joined, kept_tokens, spell

TARGETS = (0.95, 0.9, 0.98, 0.8)
"""Sparsities at which predictors may be compared; the first one that any predictor reaches is used."""


def percent(share: float, half_width: float = float("nan")) -> str:
    """Format a share as per cent: `48 %`, or with one decimal near 0 and 100 % and with an interval: `51.2 ± 3.4 %`."""
    value = 100 * share
    if pd.notna(half_width):
        return f"{value:.1f} ± {100 * half_width:.1f}\N{NO-BREAK SPACE}%"
    return f"{value:.{1 if min(value, 100 - value) < 10 else 0}f}\N{NO-BREAK SPACE}%"


def format_number(value: float, half_width: float = float("nan"), digits: int = 2) -> str:
    """Format a number with `digits` decimals, and its interval if there is one."""
    return f"{value:,.{digits}f}" + ("" if pd.isna(half_width) or half_width == 0 else f" ± {half_width:.{digits}f}")


def format_level(share: float) -> str:
    """Format a share from the configuration as per cent, with only the digits needed: `95 %`, `99.5 %`."""
    return f"{100 * share:.4g}\N{NO-BREAK SPACE}%"


def half_width(row: Any, metric: str) -> float:
    """Return half the width of a value's 95 % interval: by bootstrap if the table has it, else over seeds; else NaN."""
    low, high = row.get(f"{metric}_low", float("nan")), row.get(f"{metric}_high", float("nan"))
    return row.get(f"{metric}_ci95", float("nan")) if pd.isna(low) else (high - low) / 2


def language_models(quality: pd.DataFrame, trained: bool) -> list[str]:
    """Compare the loss of each language model with the unigram loss and with the softmax control.

    Parameters
    ----------
    quality : pandas.DataFrame
        The table `masked_lm`.
    trained : bool
        Whether this run trained the models.
    """
    sentences = []
    after = {row["attention"]: row for row in quality[quality["stage"] == "after"].to_dict("records")}
    for attention, row in after.items():
        verdict = "below" if row["nats_below_unigram"] > 0 else "above"
        sentences.append(
            f"With {spell(attention)} attention the model {'ends' if trained else 'is'} at a validation loss of "
            f"{format_number(row['loss'], row['loss_ci95'])} nats per masked token "
            f"(perplexity {format_number(row['perplexity'], digits=0)}, accuracy {percent(row['accuracy'])}): "
            f"{format_number(abs(row['nats_below_unigram']))} nats {verdict} the unigram loss of "
            f"{format_number(row['unigram_loss'])}."
        )
    sparse = next((name for name in after if name != "softmax"), None)
    if "softmax" in after and sparse:
        gap = after[sparse]["loss"] - after["softmax"]["loss"]
        if abs(gap) < 0.005:
            sentences.append(f"{spell(sparse).capitalize()} and softmax are equally good at the same budget.")
        else:
            relation = f"{format_number(abs(gap))} nats {'worse' if gap > 0 else 'better'} than"
            sentences.append(f"{spell(sparse).capitalize()} is {relation} softmax at the same budget.")
    return sentences


def gold_attention(gold: pd.DataFrame) -> list[str]:
    """Describe the sparsity of full attention, on average and by layer."""
    sentences = []
    for attention, rows in gold.groupby("attention", sort=False):
        layers = rows.groupby("layer")["gold_sparsity"].mean()
        sentences.append(
            f"With {spell(attention)}, {percent(rows['gold_sparsity'].mean())} of query–key pairs get exactly zero "
            f"attention; a query attends to {format_number(rows['support_size'].mean(), digits=1)} keys on average. "
            f"The densest layer is {layers.idxmin()} ({percent(layers.min())}), "
            f"the sparsest {layers.idxmax()} ({percent(layers.max())})."
        )
        if "ends_mass" in rows:  # tables in older archives lack it
            sentences.append(
                f"The first and the last token get {percent(rows['ends_mass'].mean())} of the gold probability and "
                f"{percent(rows['ends_share'].mean())} of the gold pairs."
            )
    return sentences


def compared_rows(fixed: pd.DataFrame, windows: str, keep: str) -> tuple[float, pd.DataFrame] | None:
    """Choose the sparsity at which predictors are compared, and return the rows at that sparsity.

    Parameters
    ----------
    fixed : pandas.DataFrame
        The table `predictors_at_sparsity`.
    windows, keep : str
        The window and the kept tokens of the rows to compare.

    Returns
    -------
    (float, pandas.DataFrame) or None
        The sparsity and its rows, best recall first; None if no predictor other than the bounds reaches any sparsity.
    """
    chosen = fixed[(fixed["windows"].astype(str) == windows) & (fixed["keep"] == keep) & fixed["recall"].notna()]
    available = sorted(chosen.loc[chosen["bound"].isna(), "at_sparsity"].unique(), key=lambda level: -level)
    preferred = [level for level in TARGETS if level in available] or available
    if not preferred:
        return None
    rows = chosen[chosen["at_sparsity"] == preferred[0]]
    return float(preferred[0]), rows.sort_values("recall", ascending=False, kind="stable")


def predictors(fixed: pd.DataFrame, windows: str, keep: str) -> list[str]:
    """Name the best predictor at a high sparsity, and compare it with the bounds, other predictors and patterns."""
    found = compared_rows(fixed, windows, keep)
    if found is None:
        return ["No predictor reaches one of the compared sparsities in this setting: see the figure."]
    at, everything = found
    sentences = []
    for attention, rows in everything.groupby("attention", sort=False):
        real = rows[rows["bound"].isna()]
        if real.empty:
            continue
        best = real.iloc[0]
        sentences.append(
            f"At {format_level(at)} sparsity {predictor_name(best, real)} predicts {spell(attention)} support "
            f"best: it recalls {percent(best['recall'], half_width(best, 'recall'))} of the gold pairs and "
            f"{percent(best['mass_recall'], half_width(best, 'mass_recall'))} of the attention probability, and leaves "
            f"{percent(best['exactness'], half_width(best, 'exactness'))} of the queries exact."
        )
        sentences += _against_bounds(best, rows)
        sentences += _against_others(best, real)
    return sentences


def predictor_name(row: Any, among: pd.DataFrame) -> str:
    """Return a predictor's label, with its projection if `among` has several for it."""
    several = among.loc[among["predictor"] == row["predictor"], "projection"].nunique() > 1
    return f"{row['label']} ({spell(row['projection'])})" if several else str(row["label"])


def _against_bounds(best: pd.Series, rows: pd.DataFrame) -> list[str]:
    bounds = {kind: rows[rows["bound"] == kind]["recall"] for kind in ("upper", "lower")}
    if bounds["upper"].empty and bounds["lower"].empty:
        return []
    parts = []
    if len(bounds["upper"]):
        parts.append(f"the oracle recalls {percent(bounds['upper'].iloc[0])}")
    if len(bounds["lower"]):
        parts.append(f"random pairs {'' if parts else 'recall '}{percent(bounds['lower'].iloc[0])}")
    sentence = f"At the same sparsity {' and '.join(parts)}"
    if len(parts) == 2:
        low, high = bounds["lower"].iloc[0], bounds["upper"].iloc[0]
        if high > low:
            way = percent((best["recall"] - low) / (high - low))
            sentence += f", so it covers {way} of the way from chance to the oracle"
    return [sentence + "."]


def _against_others(best: pd.Series, real: pd.DataFrame) -> list[str]:
    sentences = []
    fixed = real[real["predictor"].map(group_of) == IGNORES_CONTENT]
    others = real[real["predictor"] != best["predictor"]]
    if len(others):
        second = others.iloc[0]
        kind = ", which ignores content," if group_of(second["predictor"]) == IGNORES_CONTENT else ""
        recall = percent(second["recall"], half_width(second, "recall"))
        sentences.append(f"Next is {predictor_name(second, real)}{kind} with {recall}.")
        sentences += _overlapping(best, others)
        if len(fixed) and IGNORES_CONTENT not in {group_of(row["predictor"]) for row in (best, second)}:
            pattern = fixed.iloc[0]
            pattern_text = f"{predictor_name(pattern, real)}, recalls {percent(pattern['recall'])}"
            sentences.append(f"The best pattern that ignores content, {pattern_text}.")
    return sentences


def _overlapping(best: pd.Series, others: pd.DataFrame) -> list[str]:
    """Name the predictors whose 95 % intervals overlap that of the best predictor."""
    if pd.isna(half_width(best, "recall")):
        return []
    least = best["recall"] - half_width(best, "recall")
    near = others[[row["recall"] + half_width(row, "recall") >= least for _, row in others.iterrows()]]
    labels = list(near["label"].unique())
    if not labels:
        return ["Its 95 % interval overlaps no other predictor's."]
    shown = joined(labels if len(labels) < 5 else [*labels[:3], f"{len(labels) - 3} others"])
    verb = "overlap" if len(labels) > 1 else "overlaps"
    return [f"The 95 % interval{'s' * (len(labels) > 1)} of {shown} {verb} its own: this run cannot rank them."]


def with_more_kept(fixed: pd.DataFrame, windows: str, keep: str) -> list[str]:
    """Name the best predictor at the same sparsity if any window may be used, and if further tokens are kept."""
    before = compared_rows(fixed, windows, keep)
    if before is None:
        return []
    sentences = []
    for kept in sorted(fixed["keep"].unique(), key=lambda kept: kept != keep):
        after = compared_rows(fixed, "all", kept)
        if after is None or after[0] != before[0]:
            continue
        several = after[1]["attention"].nunique() > 1
        for attention, rows in after[1].groupby("attention", sort=False):
            free = rows[rows["bound"].isna()]
            confined = before[1][(before[1]["attention"] == attention) & before[1]["bound"].isna()]
            if len(free) and len(confined):
                also = "" if kept == keep else f" and the {kept_tokens(kept)}"
                prefix = f"For {spell(attention)}: " if several else ""
                sentences.append(prefix + _gain(free, confined, also))
    return sentences


def _gain(free: pd.DataFrame, confined: pd.DataFrame, also: str) -> str:
    best, gain = free.iloc[0], free.iloc[0]["recall"] - confined.iloc[0]["recall"]
    if abs(gain) < 0.0005 and not also:
        return "No window makes the best predictor better at this sparsity."
    recall = percent(best["recall"], best["recall_ci95"])
    change = f"{100 * abs(gain):.1f} points {'more' if gain > 0 else 'less'}"
    return f"With the window chosen freely{also}, {predictor_name(best, free)} is best with {recall}, {change}."
