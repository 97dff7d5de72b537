"""Chooses the functions of each split: by project, without repeats, with negatives as long as the positives."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from sparse_attention.data.code import duplicates
from sparse_attention.data.code.functions import Function, Intake
from sparse_attention.data.splits import SPLITS, Shares, position, split_documents
from sparse_attention.errors import InputError

KEPT_FIRST = ("test", "validation", "train")
"""Of equal functions in two splits, the one in the first of these splits is kept: none of test is trained on."""


def assign_splits(
    functions: Sequence[Function], shares: Shares, projects: Mapping[str, Sequence[str]] | None = None
) -> list[Function]:
    """Return the functions with a split assigned to each.

    If the data set names splits, they stay. A missing validation split is then drawn from train, because choices are
    made by validation and test must not influence them. If it names none, `projects` decides; without `projects`,
    whole projects are assigned at random, and functions without a project one by one.

    Parameters
    ----------
    functions : sequence of Function
    shares : Shares
        Shares of the splits and the seed.
    projects : mapping, optional
        The projects of validation and of test; all others belong to train.

    Raises
    ------
    InputError
        When `projects` names a project that does not exist, or there are too few functions to fill the splits.
    """
    names = {function.project for function in functions}
    if any(function.split for function in functions):
        return _with_validation(functions, shares)
    if projects:
        chosen = {name: split for split, members in projects.items() for name in members}
        unknown = sorted(set(chosen) - names)
        if unknown:
            raise InputError(
                f"projects: {', '.join(unknown)}: not in the data set; allowed: {', '.join(sorted(names))}"
            )
        return [replace(function, split=chosen.get(function.project, "train")) for function in functions]
    units = [_unit(function) for function in functions]
    distinct = sorted(set(units))
    advice = "bring more projects, or say files or projects in code_corpora"
    assigned = split_documents(distinct, shares, "projects, or functions without one,", advice)
    split_of = dict(zip(distinct, assigned, strict=True))
    return [replace(function, split=split_of[unit]) for function, unit in zip(functions, units, strict=True)]


def _with_validation(functions: Sequence[Function], shares: Shares) -> list[Function]:
    if any(function.split == "validation" for function in functions):
        return list(functions)
    share = shares.validation / (shares.train + shares.validation)
    units = {_unit(function) for function in functions if function.split == "train"}
    taken = {unit for unit in units if position(shares.seed, unit) < share} if len(units) > 1 else set()
    taken = taken or {min(units, key=lambda unit: position(shares.seed, unit), default="")}
    return [
        replace(function, split="validation") if function.split == "train" and _unit(function) in taken else function
        for function in functions
    ]


def _unit(function: Function) -> str:
    """Return the project of a function, or its own text without one: functions of one unit share a split."""
    return function.project or function.source


def without_repeats(
    functions: Sequence[Function], similarity: float | None, overlap: str, intake: Intake
) -> list[Function]:
    """Return the functions without those that repeat another one, exactly or nearly.

    Parameters
    ----------
    functions : sequence of Function
        With splits.
    similarity : float or None
        See `duplicates.near`; None: only exact repeats, up to layout.
    overlap : str
        What happens to functions in two splits: `drop` keeps one in the first of test, validation and train; `refuse`
        raises an error; `keep` looks for repeats only within each split.
    intake : Intake
        Counts the functions that are left out.

    Raises
    ------
    InputError
        When functions are in two splits and `overlap` is `refuse`.
    """
    groups = [[f for f in functions if f.split == split] for split in KEPT_FIRST]
    if overlap == "keep":
        return [kept for group in groups for kept in _distinct(group, similarity, intake)]
    if overlap == "refuse":
        _refuse_overlap(groups)
    return _distinct([function for group in groups for function in group], similarity, intake)


def _distinct(functions: list[Function], similarity: float | None, intake: Intake) -> list[Function]:
    kept = _unrepeated(functions, duplicates.exact([f.source for f in functions]), "repeats another one", intake)
    if similarity is None:
        return kept
    return _unrepeated(
        kept, duplicates.near([f.source for f in kept], similarity), "nearly repeats another one", intake
    )


def _unrepeated(functions: list[Function], repeated: np.ndarray, reason: str, intake: Intake) -> list[Function]:
    intake.drop(reason, int(repeated.sum()))
    return [function for function, again in zip(functions, repeated, strict=True) if not again]


def _refuse_overlap(groups: Iterable[list[Function]]) -> None:
    owner: dict[str, Function] = {}
    common = []
    for function in (function for group in groups for function in group):
        key = " ".join(duplicates.TOKEN.findall(function.source))
        if owner.setdefault(key, function).split != function.split:
            common.append(function)
    if common:
        first = " ".join(common[0].source.split())[:60]
        raise InputError(
            f"{len(common)} functions are in two splits, as {first!r} is; allowed: none, or prepare_code.overlap: drop"
        )


def choose(functions: Sequence[Function], negatives: float | None, most: int | None, seed: int) -> list[Function]:
    """Return the functions of one split that are used, in a random order that does not depend on label or project.

    Parameters
    ----------
    functions : sequence of Function
        The functions of one split.
    negatives : float or None
        Negatives per positive. Each is the nearest in length to its positive, if possible from the same project.
        None: all negatives.
    most : int or None
        The most functions; with `negatives`, the number of positives is reduced accordingly. None: no limit.
    seed : int
        Seed of the order.
    """
    ordered = sorted(functions, key=lambda function: position(seed, f"{function.project}\0{function.source}"))
    positives = [function for function in ordered if function.label]
    others = [function for function in ordered if not function.label]
    if negatives is None:
        return ordered[:most]
    if most is not None:
        positives = positives[: round(most / (1 + negatives))]
    wanted = min(round(negatives * len(positives)), len(others))
    chosen = {id(function) for function in [*positives, *_matched(positives, others, wanted)]}
    return [function for function in ordered if id(function) in chosen]


def _matched(positives: Sequence[Function], others: Sequence[Function], wanted: int) -> list[Function]:
    """Return `wanted` of the others; the positives take turns, each takes the remaining one nearest in length."""
    pools: dict[str, list[tuple[int, int]]] = {}
    for place, function in enumerate(others):
        pools.setdefault(function.project, []).append((len(function.source), place))
    for pool in pools.values():
        pool.sort()
    everything = sorted(entry for pool in pools.values() for entry in pool)
    chosen = []
    for turn in range(wanted):
        positive = positives[turn % len(positives)]
        pool = pools.get(positive.project) or everything
        entry = pool[_nearest(pool, len(positive.source))]
        chosen.append(others[entry[1]])
        for holder in (everything, pools[chosen[-1].project]):
            holder.pop(bisect.bisect_left(holder, entry))
    return chosen


def _nearest(pool: Sequence[tuple[int, int]], length: int) -> int:
    """Return the index of the entry nearest in length, the shorter of two that are equally near."""
    after = bisect.bisect_left(pool, (length, -1))
    places = [place for place in (after - 1, after) if 0 <= place < len(pool)]
    return min(places, key=lambda place: (abs(pool[place][0] - length), place))


def within_lines(functions: Iterable[Function], least: int, most: int | None, intake: Intake) -> list[Function]:
    """Return the functions with `least` to `most` lines; `most` may be None."""
    kept = []
    for function in functions:
        count = function.source.count("\n") + 1
        if count < least:
            intake.drop(f"has fewer lines than prepare_code.min_lines ({least})")
        elif most is not None and count > most:
            intake.drop(f"has more lines than prepare_code.max_lines ({most})")
        else:
            kept.append(function)
    return kept


def require_some(functions: Sequence[Function], name: str, intake: Intake) -> None:
    """Raise `InputError` with the reasons when no function of the data set `name` is left."""
    if not functions:
        raise InputError(f"{name}: no function is left: {intake.summary()}")


def require_both_labels(functions: Sequence[Function], intake: Intake, deciding: str) -> None:
    """Raise `InputError` when a split does not have functions of both labels.

    Parameters
    ----------
    functions : sequence of Function
        The functions of all splits.
    intake : Intake
        The counts of functions left out before, for the message.
    deciding : str
        The configuration's keys that decide which functions a split has, for the message.
    """
    for split in SPLITS:
        labels = [function.label for function in functions if function.split == split]
        if len(set(labels)) < 2:
            counts = f"{labels.count(0)} functions of label 0 and {labels.count(1)} of label 1"
            raise InputError(
                f"the split {split} has {counts}; allowed: some of each ({intake.summary()}; {deciding} decide)"
            )
