"""Say which numbers of a run mean nothing, or less than they seem to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from sparse_attention.reporting.findings import format_level, format_number
from sparse_attention.summaries.wording import joined, spell, spell_pruning

LEARNED = ("dense", "soft", "hard", "retrained")
"""Systems that must have learned something for their numbers to mean something."""
NEARLY = 0.005
"""A classifier calls everything one class if at most this share of each class is called otherwise."""
CHANCE = 0.5
"""ROC AUC of scores that know nothing of the label."""


class Caution(NamedTuple):
    """A sentence on numbers that mean little, and the sections that show these; the first page shows each sentence."""

    text: str
    sections: tuple[str, ...] = ()


def cautions(
    table: Callable[[str], pd.DataFrame | None], seeds: Sequence[int], windows: str, keep: str
) -> list[Caution]:
    """Return all cautions of a run; none if all is well.

    Parameters
    ----------
    table : callable
        Returns a published table by its name, or None if the run has none.
    seeds : sequence of int
        The seeds of the run.
    windows, keep : str
        The window and the kept tokens that the report shows.
    """
    quality, models, fixed = (table(name) for name in ("pruning", "masked_lm", "predictors_at_sparsity"))
    found = []
    if quality is not None:
        found += of_classifiers(quality, table("text_baselines"))
    if models is not None:
        found += of_language_models(models)
    if fixed is not None:
        found += of_fronts(fixed, windows, keep)
    return found + of_seeds(seeds)


def of_classifiers(quality: pd.DataFrame, baselines: pd.DataFrame | None) -> list[Caution]:
    """Name classifiers that give one answer to everything, rank by chance, lose to one answer, or prune nothing.

    Parameters
    ----------
    quality : pandas.DataFrame
        The table `pruning`.
    baselines : pandas.DataFrame, optional
        The table `text_baselines`.
    """
    several = quality["pruning"].nunique() > 1
    learned = quality[quality["system"].isin(LEARNED)]
    groups = []
    for name, rows in learned.groupby("pruning", sort=False):
        rows = rows.drop_duplicates("system")
        groups.append((f" ({spell_pruning(name)})" if several else "", rows.to_dict("records")))
    sentences: list[str] = []
    for rule in (_one_answer, _by_chance, _pruned_nothing):
        # a dense classifier without a pruning of its own stands in the rows of every pruning
        sentences += dict.fromkeys(sentence for where, rows in groups for sentence in rule(rows, where))
    if not any(_answer(row) for _, rows in groups for row in rows):
        sentences += _below_one_answer(learned, baselines)
    return [Caution(sentence, ("pruning",)) for sentence in sentences]


def _answer(row: Mapping[Any, Any]) -> str:
    """Return the one class that a classifier calls everything; empty if it tells some functions from others."""
    rates = [row.get(rate, float("nan")) for rate in ("recall", "false_alarm_rate")]
    if min(rates) >= 1 - NEARLY:
        return "defective"
    return "free of defects" if max(rates) <= NEARLY else ""


def _one_answer(rows: Sequence[Mapping[Any, Any]], where: str) -> Iterator[str]:
    for answer in ("defective", "free of defects"):
        same = [row for row in rows if _answer(row) == answer]
        if not same:
            continue
        systems, many = joined([row["system"] for row in same]), len(same) > 1
        f1 = format_number(same[0]["f1"], digits=3)
        difference = ", and a difference of 0 between them, however narrow its interval, says nothing about pruning"
        yield (
            f"The {systems} classifier{'s call' if many else ' calls'} (nearly) every test function {answer}{where}: "
            f"an F1 of {f1} can be had without reading any code{difference if many else ''}."
        )


def _by_chance(rows: Sequence[Mapping[Any, Any]], where: str) -> Iterator[str]:
    parts = []
    for row in rows:
        low, high = row.get("roc_auc_low", float("nan")), row.get("roc_auc_high", float("nan"))
        if (row["roc_auc"] if pd.isna(low) else low) <= CHANCE:
            interval = "" if pd.isna(low) else f", 95 % interval {low:.3f} to {high:.3f}"
            parts.append((row["system"], f"{row['roc_auc']:.3f}{interval}"))
    if parts:
        names = joined([f"{system} ({value})" for system, value in parts])
        # the dense classifier is the same for every pruning
        place, many = where if [system for system, _ in parts] != ["dense"] else "", len(parts) > 1
        yield (
            f"By ROC AUC the {names} classifier{'s rank' if many else ' ranks'} defective functions no better than "
            f"chance, which is 0.5{place}; {'their' if many else 'its'} other numbers mean nothing either."
        )


def _pruned_nothing(rows: Sequence[Mapping[Any, Any]], where: str) -> Iterator[str]:
    for row in rows:
        if row["system"] == "hard" and row["kept_share"] >= 1 - NEARLY:
            yield f"Pruning{where} keeps (nearly) all tokens, so its F1 shows nothing of what pruning costs."


def _below_one_answer(learned: pd.DataFrame, baselines: pd.DataFrame | None) -> Iterator[str]:
    dense = learned[learned["system"] == "dense"]
    if baselines is None or dense.empty:
        return
    majority = baselines[(baselines["split"] == "test") & (baselines["classifier"] == "majority")]
    if len(majority) and (f1 := dense["f1"].iloc[0]) <= (least := majority["f1"].iloc[0]):
        yield (
            f"The dense classifier's F1 of {f1:.3f} is not above {least:.3f}, which calling every function by the more "
            "frequent label gives."
        )


def of_language_models(quality: pd.DataFrame) -> list[Caution]:
    """Name the language models whose loss is not below the unigram loss.

    Parameters
    ----------
    quality : pandas.DataFrame
        The table `masked_lm`.
    """
    rows = quality[(quality["stage"] == "after") & (quality["nats_below_unigram"] <= 0)].to_dict("records")
    return [
        Caution(
            f"With {spell(row['attention'])} attention the loss of {format_number(row['loss'])} is not below the "
            f"unigram loss of {format_number(row['unigram_loss'])}: this model knows no more than how frequent each "
            "token is. Its attention, and how well that is predicted, says nothing about trained models.",
            ("models", "gold", "predictors", "sparse_mlm"),
        )
        for row in rows
    ]


def of_fronts(fixed: pd.DataFrame, windows: str, keep: str) -> list[Caution]:
    """Name the predictors that have no point as sparse as a sparsity that was asked for.

    Parameters
    ----------
    fixed : pandas.DataFrame
        The table `predictors_at_sparsity`.
    windows, keep : str
        The window and the kept tokens that the report shows.
    """
    chosen = fixed[(fixed["windows"].astype(str) == windows) & (fixed["keep"] == keep) & fixed["bound"].isna()]
    ends = chosen.assign(reached=chosen["at_sparsity"].where(chosen["recall"].notna())).groupby("label", sort=False)
    reached = ends["reached"].max()
    if reached.empty:
        return []
    beyond: dict[float, list[str]] = {}
    for label, end in reached.items():
        missed = sorted(level for level in chosen["at_sparsity"].unique() if pd.isna(end) or level > end)
        if missed:
            beyond.setdefault(missed[0], []).append(str(label))
    if not beyond:
        return []
    parts = [f"From {format_level(level)} on: {'; '.join(labels)}." for level, labels in sorted(beyond.items())]
    return [
        Caution(
            f"Some curves never reach a sparsity that was asked for and have no value there. {' '.join(parts)} "
            "A predictor without a value was not tried at so few pairs, which makes it neither better nor worse.",
            ("predictors",),
        )
    ]


def of_seeds(seeds: Sequence[int]) -> list[Caution]:
    """Say that one seed gives no interval over seeds."""
    if len(seeds) != 1:
        return []
    return [
        Caution(
            "Only one seed was run, so no interval says what another seed would change; the intervals that are shown "
            "are over documents or functions."
        )
    ]
