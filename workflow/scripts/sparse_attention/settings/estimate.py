"""Estimates the storage and the time of a run before it starts, from measured rates; works without torch.

The rates are those of `rates.yaml`. The times in `results/benchmarks/` of a finished run do not replace them: these
files do not say how many steps a job made, and one that was resumed made fewer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from sparse_attention.files.room import size
from sparse_attention.settings.durations import durations
from sparse_attention.settings.grids import longformer_of
from sparse_attention.settings.plan import Plan
from sparse_attention.settings.sizes import Sizes, sizes_of
from sparse_attention.settings.storage import outstanding, storage

HOUR, DAY = 3600.0, 24 * 3600.0


@dataclass(frozen=True)
class Estimate:
    """What a run writes and how long it computes.

    Attributes
    ----------
    bytes, missing : dict of str to int
        Bytes by folder of `results/`: of the whole run, and of what is not there yet.
    seconds : dict of str to float
        CPU seconds of the whole run by rule.
    unknown : tuple of str
        The models whose sizes are not known yet, so that their stages are not counted.
    on_gpu : bool
        Whether the configuration asks for a GPU, for which no rates are known.
    from_dump : bool
        Whether the queries and keys are a dump's, whose size is not known, so that nothing made from it is counted.
    unlimited : tuple of str
        The splits of code of which all functions are taken, whose number is not known, so that they are not counted.
    """

    bytes: dict[str, int]
    missing: dict[str, int]
    seconds: dict[str, float]
    unknown: tuple[str, ...]
    on_gpu: bool
    from_dump: bool
    unlimited: tuple[str, ...]

    @property
    def line(self) -> str:
        """The estimate as a line to show before any job starts."""
        parts = []
        if self.bytes:
            hours = f"{_duration(sum(self.seconds.values()))} of one CPU core"
            parts.append(f"about {size(sum(self.bytes.values()))} in results/ and {hours}")
        if self.bytes and self.on_gpu:
            parts.append("the time on a GPU is not known")
        parts += [f"unknown until {name} is retrieved: what its jobs need" for name in self.unknown]
        parts += ["what is made from the dump is not counted"] if self.from_dump else []
        keys = " and ".join(f"prepare_code.max_functions.{split}" for split in self.unlimited)
        parts += [f"functions without a limit are not counted ({keys})"] if keys else []
        return "; ".join(parts)


def estimate(plan: Plan, folder: Path = Path()) -> Estimate:
    """Return the estimate of a run.

    Parameters
    ----------
    plan : Plan
        The run.
    folder : Path
        Folder of the workflow's results and resources.
    """
    model = sizes_of(plan.model, folder)
    classifier = _classifier(plan, folder)
    wanted = ((plan.model, model), (plan.classifier, classifier))
    unknown = dict.fromkeys(source.name for source, sizes in wanted if source and sizes is None)
    return Estimate(
        bytes=storage(plan, model, classifier),
        missing=storage(plan, model, classifier, outstanding(folder)),
        seconds=durations(plan, model, classifier),
        unknown=tuple(unknown),
        on_gpu=plan.config["device"] not in ("auto", "cpu"),
        from_dump=plan.from_dump,
        unlimited=_unlimited(plan),
    )


def _unlimited(plan: Plan) -> tuple[str, ...]:
    """Return the splits of code of which all functions are taken."""
    most = plan.config["prepare_code"]["max_functions"]
    return tuple(split for split, number in most.items() if number is None) if plan.code else ()


def _classifier(plan: Plan, folder: Path) -> Sizes | None:
    """Return the sizes of the classifier: those of its model, or of the Longformer that is made from it."""
    sizes, longformer = sizes_of(plan.classifier, folder), longformer_of(plan.config)
    if sizes is None or not longformer:
        return sizes
    return replace(sizes, layers=longformer["layers"], positions=plan.config["tokenise_code"]["max_tokens"])


def _duration(seconds: float) -> str:
    """Return a duration in the largest unit of which there are two.

    Examples
    --------
    >>> _duration(5400), _duration(90000), _duration(200000)
    ('90 minutes', '25 hours', '2.3 days')
    """
    if seconds < 2 * HOUR:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / HOUR:.0f} hours" if seconds < 2 * DAY else f"{seconds / DAY:.2g} days"
