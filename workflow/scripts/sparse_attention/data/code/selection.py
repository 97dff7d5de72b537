"""Which functions make a split: by project, without repeats, as many negatives as wanted, and of the same lengths."""

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
"""Of equal functions in two splits the one in the first of these stays, so that training sees nothing of the others."""


def assign_splits(
    functions: Sequence[Function], shares: Shares, projects: Mapping[str, Sequence[str]] | None = None
) -> list[Function]:
    """Return the functions with their splits.

    What the data set says stays, except that a missing validation split is cut from train: validation decides, test is
    read once. Otherwise `projects` names the projects of validation and test, all others being train, or else whole
    projects are drawn; functions without projects are drawn one by one.

    Raises
    ------
    InputError
        When `projects` names one that is not there, or there is too little to fill the splits.
    """
    names = {function.project for function in functions}
    if any(function.split for function in functions):
        return _with_validation(functions, shares)
    if projects:
        chosen = {name: split for split, members in projects.items() for name in members}
        unknown = sorted(set(chosen) - names)
        if unknown:
            raise InputError(f"projects: {', '.join(unknown)} not found; allowed: {', '.join(sorted(names))}")
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
    """Return what is never divided between splits."""
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
        What a function in two splits is: `drop` keeps it in the first of test, validation and train; `refuse`: an
        error; `keep`: repeats are looked for within each split only.
    intake : Intake
        Counts what is left out.

    Raises
    ------
    InputError
        With the number of functions in two splits, and one of them.
    """
    groups = [[f for f in functions if f.split == split] for split in KEPT_FIRST]
    if overlap == "keep":
        return [kept for group in groups for kept in _distinct(group, similarity, intake)]
    if overlap == "refuse":
        _refuse_overlap(groups)
    return _distinct([function for group in groups for function in group], similarity, intake)


def _distinct(functions: list[Function], similarity: float | None, intake: Intake) -> list[Function]:
    kept = _left(functions, duplicates.exact([f.source for f in functions]), "repeats another one", intake)
    if similarity is None:
        return kept
    return _left(kept, duplicates.near([f.source for f in kept], similarity), "nearly repeats another one", intake)


def _left(functions: list[Function], repeated: np.ndarray, reason: str, intake: Intake) -> list[Function]:
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
            f"{len(common)} functions are in two splits, one is {first!r}; allowed: none, or prepare_code.overlap: drop"
        )


def choose(functions: Sequence[Function], negatives: float | None, most: int | None, seed: int) -> list[Function]:
    """Return the functions of one split that are used, in a seeded order that knows neither label nor project.

    Parameters
    ----------
    functions : sequence of Function
        Of one split.
    negatives : float or None
        Negatives for each positive, each of a length near that of a positive, from its project where there is one
        left; None: all there are.
    most : int or None
        Functions to keep, positives in the share that they then have; None: all.
    seed : int
        Of the order.
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
    """Return `wanted` of the others, taken in turn by the positives: the nearest in length that is left."""
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
    """Return the place of the entry nearest in length, the shorter of two equally near."""
    after = bisect.bisect_left(pool, (length, -1))
    places = [place for place in (after - 1, after) if 0 <= place < len(pool)]
    return min(places, key=lambda place: (abs(pool[place][0] - length), place))


def within_lines(functions: Iterable[Function], least: int, most: int | None, intake: Intake) -> list[Function]:
    """Return the functions whose number of lines is allowed."""
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
    """Raise `InputError` when nothing is left of the data set `name`, with what was left out and why."""
    if not functions:
        raise InputError(f"{name}: no function is left: {intake.summary()}")


def require_both_labels(functions: Sequence[Function], intake: Intake, deciding: str) -> None:
    """Raise `InputError` when a split is empty or has one class only.

    Parameters
    ----------
    functions : sequence of Function
        Of all splits.
    intake : Intake
        Tells what was left out before.
    deciding : str
        The keys of the configuration that decide what a split holds.
    """
    for split in SPLITS:
        labels = [function.label for function in functions if function.split == split]
        if len(set(labels)) < 2:
            counts = f"{labels.count(0)} functions of label 0 and {labels.count(1)} of label 1"
            raise InputError(
                f"the split {split} has {counts}; allowed: some of each ({intake.summary()}; {deciding} decide)"
            )
