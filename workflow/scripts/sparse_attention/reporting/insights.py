"""Write the sentences on areas, computation, heads, distances, buckets and the quirks of the published code."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from sparse_attention.plotting.predictor_styles import group_of, is_bound
from sparse_attention.plotting.selection import first_number, nearest_point, one_projection
from sparse_attention.reporting.findings import format_level, format_number, half_width, percent, predictor_name
from sparse_attention.summaries.wording import count, joined, spell

NEAR = 8
"""The largest distance in tokens of a pair that is called near."""
RECALLS = (0.8, 0.5)
"""Recalls at which computation may be compared; the first one that any predictor reaches below full cost is used."""
CONTROL = "another_seed"
"""The row among the quirks that compares two seeds, and so shows how much chance changes."""


def _by_attention(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the rows of each attention with a prefix for their first sentence, empty for a single attention."""
    several = rows["attention"].nunique() > 1
    for attention, own in rows.groupby("attention", sort=False):
        yield (f"For {spell(attention)}: " if several else ""), own


def _first(rows: pd.DataFrame, key: pd.Series) -> pd.Series:
    """Return the row with the smallest key, the first of equal ones; missing keys count as largest."""
    return rows.iloc[int(np.argsort(key.to_numpy(dtype=float), kind="stable")[0])]


def areas(table: pd.DataFrame, windows: str, keep: str) -> list[str]:
    """Name the predictors with the largest areas, overall and in each group.

    Parameters
    ----------
    table : pandas.DataFrame
        The table `areas`.
    windows, keep : str
        The window and the kept tokens to compare at.
    """
    chosen = table[(table["windows"].astype(str) == windows) & (table["keep"] == keep) & ~is_bound(table)]
    sentences = []
    for start, rows in _by_attention(chosen):
        ranked = rows.sort_values("area_recall", ascending=False, kind="stable").drop_duplicates("predictor")
        best = ranked.iloc[0]
        value = format_number(best["area_recall"], half_width(best, "area_recall"))
        at = format_level(best["area_from"])
        sentence = f"{start}From {at} sparsity up, {predictor_name(best, rows)} has the highest mean recall: {value}"
        after = [f"{row['label']} ({format_number(row['area_recall'])})" for _, row in ranked.iloc[1:3].iterrows()]
        sentences.append(f"{sentence}{', ahead of ' + joined(after) if after else ''}.")
        leaders = ranked.assign(group=ranked["predictor"].map(group_of)).drop_duplicates("group")
        if len(leaders) > 1:
            best_of_groups = [f"{row['label']} among {_lower(row['group'])}" for _, row in leaders.iterrows()]
            sentences.append(f"The best of each group are {joined(best_of_groups)}.")
    return sentences


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def computation(points: pd.DataFrame, window: int, keep: str) -> list[str]:
    """Name the predictor that saves most at a given recall, and the one that spends most on predicting.

    Parameters
    ----------
    points : pandas.DataFrame
        The table `predictors`.
    window, keep
        The window and the kept tokens to compare at.
    """
    chosen = points[(points["window"] == window) & (points["keep"] == keep) & ~is_bound(points)]
    chosen = chosen[chosen["computation_sparsity"].notna()]
    sentences = []
    for start, rows in _by_attention(chosen):
        for wanted in RECALLS:
            cheap = rows[(rows["recall"] >= wanted) & (rows["computation_sparsity"] > 0)]
            if len(cheap):
                best = _first(cheap, -cheap["computation_sparsity"])
                sentences.append(
                    f"{start}To recall at least {format_level(wanted)} of the gold pairs, {predictor_name(best, rows)} "
                    f"needs least computation: it saves {percent(best['computation_sparsity'])} of full attention's "
                    f"scores, the cost of predicting included, with a support of {percent(best['sparsity'])} sparsity."
                )
                break
        else:
            least = format_level(RECALLS[-1])
            sentences.append(f"{start}No predictor recalls {least} of the gold pairs for less than full attention.")
        sentences += _most_expensive(rows)
    return sentences


def _most_expensive(rows: pd.DataFrame) -> list[str]:
    most = rows.groupby("label", sort=False)["computation_sparsity"].max()
    never = list(most.index[most <= 0])
    if never:
        verb = "costs" if len(never) == 1 else "cost"
        return [f"{joined(never)} {verb} more than full attention at every point."]
    spent = (rows["sparsity"] - rows["computation_sparsity"]).groupby(rows["label"], sort=False).median()
    sentence = f"{spent.idxmax()} spends most on predicting: {percent(spent.max())} of full attention's scores"
    return [f"{sentence} at its median point."] if len(spent) > 1 else []


def heads(best: pd.DataFrame) -> list[str]:
    """State in how many heads each predictor is best, and how recall differs between heads.

    Parameters
    ----------
    best : pandas.DataFrame
        The table `best_by_head`.
    """
    sentences = []
    for start, rows in _by_attention(best):
        wins = rows.groupby("label", sort=False).size().sort_values(ascending=False, kind="stable")
        next_best = [f"{label} in {number}" for label, number in wins.iloc[1:3].items()]
        more = f", {joined(next_best)}" if next_best else ""
        rest = f"; {len(wins)} predictors are best somewhere" if len(wins) > 3 else ""
        at = format_level(rows["at_sparsity"].iloc[0])
        first = f"{wins.index[0]} is best in {wins.iloc[0]} of {count(len(rows), 'head')}"
        sentences.append(f"{start}At {at} sparsity {first}{more}{rest}.")
        low, high = _first(rows, rows["recall"]), _first(rows, -rows["recall"])
        places = [f"{percent(row['recall'])} (layer {row['layer']}, head {row['head']})" for row in (low, high)]
        sentence = f"The recall of the best predictor ranges from {places[0]} to {places[1]}"
        close = int((rows["margin"] < 0.01).sum())
        tie = f"; in {count(close, 'head')} the next predictor is less than a point behind" if close else ""
        sentences.append(f"{sentence}{tie}.")
    return sentences


def distances(offsets: pd.DataFrame) -> list[str]:
    """Describe the distances of gold pairs, and name the predictors whose pairs have the most and least similar ones.

    Parameters
    ----------
    offsets : pandas.DataFrame
        The table `offsets`.
    """
    sentences = []
    for start, rows in _by_attention(one_projection(offsets)):
        gold = rows.groupby("distance", sort=False)["gold_share"].mean()
        near = float(gold[[first_number(distance) <= NEAR for distance in gold.index]].sum())
        sentences.append(f"{start}{percent(near)} of the gold pairs are at most {NEAR} tokens apart.")
        real = rows[~is_bound(rows)]
        # total variation distance: the share of pairs that would have to lie at another distance
        moved = (real["share"] - real["gold_share"]).abs().groupby(real["label"], sort=False).sum() / 2
        if len(moved) > 1:
            sentences.append(
                f"{moved.idxmin()} keeps pairs at the distances most like those of the gold support: "
                f"{percent(moved.min())} of its pairs lie at other distances; {moved.idxmax()} keeps those least like "
                f"them, with {percent(moved.max())}."
            )
    return sentences


def buckets(filling: pd.DataFrame | None, common: pd.DataFrame | None, sparsity: float) -> list[str]:
    """Compare how evenly quantizers fill their buckets, and how much more often gold pairs share one than all pairs.

    Parameters
    ----------
    filling, common : pandas.DataFrame, optional
        The tables `buckets` and `common_buckets`.
    sparsity : float
        The sparsity at which gold pairs are compared: each quantizer at its nearest point.
    """
    sentences = []
    if filling is not None:
        for start, rows in _by_attention(one_projection(filling)):
            means = rows.groupby("label", sort=False)["entropy"].mean().dropna()
            if len(means) > 1:
                even = f"{means.idxmax()} ({format_number(means.max())})"
                uneven = f"{means.idxmin()} ({format_number(means.min())})"
                sentences.append(
                    f"{start}{even} fills its buckets most evenly, {uneven} least, by entropy averaged over all points."
                )
    if common is not None:
        for start, rows in _by_attention(one_projection(common)):
            shares = {
                str(label): _sharing_a_bucket(nearest_point(own, sparsity))
                for label, own in rows.groupby("label", sort=False)
            }
            lift = {label: gold / every for label, (gold, every) in shares.items() if every > 0 and not np.isnan(gold)}
            if lift:
                best = max(lift, key=lambda label: lift[label])
                gold, every = (percent(share) for share in shares[best])
                shares_text = f"{gold} of the gold pairs have a bucket in common, and {every} of all pairs"
                sentences.append(f"{start}The buckets of {best} separate gold pairs best: {shares_text}.")
    return sentences


def _sharing_a_bucket(rows: pd.DataFrame) -> tuple[float, float]:
    """Return the shares of gold pairs and of all pairs that have a bucket in common."""
    sums, shared = rows[["gold_pairs", "pairs"]].sum(), rows.loc[rows["common"] > 0, ["gold_pairs", "pairs"]].sum()
    gold, every = (shared / sums.where(sums > 0)).tolist()
    return gold, every


def deviations(table: pd.DataFrame) -> list[str]:
    """Name the quirk of the published code that changes recall most, and compare the changes with that of another seed.

    Parameters
    ----------
    table : pandas.DataFrame
        The table `deviations`.
    """
    sentences = []
    for start, rows in _by_attention(table[table["metric"] == "recall"]):
        quirks, chance = rows[rows["quirk"] != CONTROL], rows[rows["quirk"] == CONTROL]
        if quirks.empty or quirks["difference"].isna().all():
            continue
        most = _first(quirks, -quirks["difference"].abs())
        way = "raises" if most["difference"] > 0 else "lowers"
        of = count(quirks["quirk"].nunique(), "quirk")
        sentence = f"{start}Of {of}, “{spell(most['quirk'])}” changes recall most: "
        sentence += f"it {way} the recall of {spell(most['subject'])} from {percent(most['corrected'])} "
        sentences.append(f"{sentence}to {percent(most['as_published'])}{_sparsity_too(table, most)}.")
        if len(chance):
            swing = chance["difference"].abs().max()
            beyond = quirks.loc[quirks["difference"].abs() > swing, "quirk"].nunique()
            sentences.append(
                f"Another seed alone moves recall by up to {100 * swing:.1f} points; "
                f"{count(beyond, 'quirk')} {'move' if beyond != 1 else 'moves'} it further."
            )
    return sentences


def _sparsity_too(table: pd.DataFrame, row: pd.Series) -> str:
    """Return the change of sparsity that belongs to a change of recall; empty if sparsity was not measured."""
    keys = ["attention", "quirk", "subject"]
    found = table[(table[keys] == row[keys]).all(axis=1) & (table["metric"] == "sparsity")]
    if found.empty:
        return ""
    right, wrong = (percent(found.iloc[0][column]) for column in ("corrected", "as_published"))
    return f", its sparsity from {right} to {wrong}" if right != wrong else f", at {right} sparsity"
