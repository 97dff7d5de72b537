"""Says after each job of a run how much of the run is done, and how long the rest takes.

Snakemake itself counts jobs, but one training takes as long as a hundred tables. A job is expected to take as long as
in an earlier run, by the times in `results/benchmarks/`, else as the measured rates of `estimate.py` say. The jobs that
have ended correct this: those of the same rule tell how long it takes here, all others how slow this machine is.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from sparse_attention.settings.estimate import estimate
from sparse_attention.settings.plan import Plan

BENCHMARKS = Path("results", "benchmarks")
SHORT = 2.0
"""Seconds of a job of which nothing is known: it makes a table or a figure."""
TRUST = 60.0
"""Seconds of jobs that have ended as expected, which count beside the jobs that have really ended."""
DOUBT = 0.25
"""Jobs of a rule that have ended as expected at the run's pace, which count beside those that have really ended."""


@dataclass(frozen=True)
class Job:
    """A job that a run has to do.

    Attributes
    ----------
    rule : str
        Its rule.
    benchmark : str or None
        The file in which its time is stored.
    cores : int
        How many cores it occupies.
    after : tuple of int
        The numbers of the other jobs of this run whose outputs it needs.
    seconds : float
        How long it is expected to take.
    """

    rule: str
    benchmark: str | None = None
    cores: int = 1
    after: tuple[int, ...] = ()
    seconds: float = SHORT


def expect(jobs: Mapping[int, Job], computing: Mapping[str, float], folder: Path = Path()) -> dict[int, Job]:
    """Return jobs with the seconds that they are expected to take.

    The first of these that is known counts: the job's own time in an earlier run, the mean of its rule's jobs there,
    what the measured rates say, and `SHORT`.

    Parameters
    ----------
    jobs : mapping
        Jobs by number.
    computing : mapping
        CPU seconds of all jobs of each rule, by the measured rates.
    folder : Path
        The folder of the run.
    """
    times = {path: seconds for path in (folder / BENCHMARKS).rglob("*.tsv") if (seconds := _time(path)) is not None}
    by_rule = defaultdict(list)
    for path, seconds in times.items():
        by_rule[path.relative_to(folder / BENCHMARKS).parts[0].removesuffix(".tsv")].append(seconds)
    number = Counter(job.rule for job in jobs.values())

    def seconds_of(job: Job) -> float:
        if job.benchmark and folder / job.benchmark in times:
            return times[folder / job.benchmark]
        if job.rule in by_rule:
            return sum(by_rule[job.rule]) / len(by_rule[job.rule])
        if job.rule in computing:
            return computing[job.rule] / number[job.rule] / job.cores
        return SHORT if job.benchmark else 0.0

    return {index: replace(job, seconds=seconds_of(job)) for index, job in jobs.items()}


class TimeLeft:
    """How much of a run is done, and how long the rest takes.

    Parameters
    ----------
    jobs : mapping
        All jobs of the run by number, as `expect` returns them.
    lanes : int
        How many cores the run has; in a cluster, how many jobs it runs at a time.
    now : callable
        Returns the time in seconds.
    """

    def __init__(self, jobs: Mapping[int, Job], lanes: int, now: Callable[[], float] = time.monotonic) -> None:
        self.jobs, self.lanes, self.now = jobs, max(lanes, 1), now
        self.started: dict[int, float] = {}
        self.taken: dict[int, float] = {}
        # each after those that it needs
        self._order = list(TopologicalSorter({index: job.after for index, job in jobs.items()}).static_order())

    def start(self, job: int) -> None:
        """Take note that a job starts, for the first time or again."""
        self.started[job] = self.now()

    def end(self, job: int) -> None:
        """Take note that a job has ended well."""
        self.taken[job] = self.now() - self.started[job]

    @property
    def pace(self) -> float:
        """How many times as long as expected jobs take in this run: the median over rules, by expected seconds.

        A mean would follow a single rule of which hardly anything was expected.
        """
        taken, expected = self._ended()
        paces = sorted([(1.0, TRUST), *((taken[rule] / seconds, seconds) for rule, seconds in expected.items())])
        until = list(itertools.accumulate(seconds for _, seconds in paces))
        return paces[bisect.bisect_left(until, until[-1] / 2)][0]

    @property
    def paces(self) -> dict[str, float]:
        """How many times as long as expected the jobs of each rule take; the run's pace where none has ended."""
        pace = self.pace
        taken, expected = self._ended()
        number = Counter(self.jobs[job].rule for job in self.taken)
        found = dict.fromkeys((job.rule for job in self.jobs.values()), pace)
        for rule, seconds in expected.items():
            doubt = DOUBT * seconds / number[rule]
            found[rule] = (taken[rule] + doubt * pace) / (seconds + doubt)
        return found

    @property
    def left(self) -> float:
        """The seconds that the rest takes: all its work on all cores, but at least its longest chain of jobs."""
        work, until = 0.0, dict[int, float]()
        paces, now = self.paces, self.now()
        for index in self._order:
            job = self.jobs[index]
            seconds = job.seconds * paces[job.rule]
            if index in self.taken:
                seconds = 0.0
            elif index in self.started:
                seconds = max(seconds - (now - self.started[index]), 0.0)
            work += seconds * min(job.cores, self.lanes)
            until[index] = seconds + max((until[before] for before in job.after), default=0.0)
        return max(work / self.lanes, max(until.values(), default=0.0))

    @property
    def line(self) -> str:
        """Jobs, share of the work, and time left, as a line."""
        paces = self.paces
        work = {index: job.seconds * paces[job.rule] * min(job.cores, self.lanes) for index, job in self.jobs.items()}
        done, total = sum(work[index] for index in self.taken), sum(work.values())
        share = 100 * done / total if total else 100.0
        jobs = f"{len(self.taken)} of {len(self.jobs)} jobs"
        return f"Progress: {jobs}, {share:.0f} % of the work, {_in_words(self.left)} left"

    def _ended(self) -> tuple[dict[str, float], dict[str, float]]:
        """Return the seconds that the ended jobs of each rule took, and those that were expected, above 0."""
        taken, expected = defaultdict[str, float](float), defaultdict[str, float](float)
        for job, seconds in self.taken.items():
            if self.jobs[job].seconds:
                taken[self.jobs[job].rule] += seconds
                expected[self.jobs[job].rule] += self.jobs[job].seconds
        return taken, expected


class Follower(logging.Handler):
    """Takes note of Snakemake's events, and logs a line after each of its own on the progress.

    Parameters
    ----------
    run : TimeLeft
        The run.
    say : callable
        Logs a line.
    """

    def __init__(self, run: TimeLeft, say: Callable[[str], object]) -> None:
        super().__init__()
        self.run, self.say = run, say

    def emit(self, record: logging.LogRecord) -> None:
        """Take note of an event; what goes wrong here is not to disturb the run."""
        try:
            event = getattr(record, "event", None)
            if event == "job_info":
                self.run.start(record.jobid)  # type: ignore[attr-defined]
            elif event == "job_finished":
                self.run.end(record.job_id)  # type: ignore[attr-defined]
            elif event == "progress" and len(self.run.taken) < len(self.run.jobs):
                self.say(self.run.line)
        except Exception:
            self.handleError(record)


def follow(snakemake_logger: logging.Logger, workflow: Any, plan: Plan) -> None:
    """Log how long a run of Snakemake takes, now and after each job. Never raises, because no run depends on it.

    Parameters
    ----------
    snakemake_logger : Logger
        Snakemake's own.
    workflow : snakemake.workflow.Workflow
        The workflow; its jobs are known, and none has started.
    plan : Plan
        What it computes.
    """
    try:
        from snakemake.settings.enums import Quietness

        dag = workflow.dag
        needed = {dag.jobid(job): job for job in dag.needrun_jobs()}
        jobs = {
            index: Job(
                job.rule.name,
                str(job.benchmark) if job.benchmark else None,
                int(job.threads) if workflow.local_exec else 1,
                tuple(number for before in dag.job_dependencies(job) if (number := dag.jobid(before)) in needed),
            )
            for index, job in needed.items()
        }
        lanes = workflow.cores if workflow.local_exec else workflow.nodes
        run = TimeLeft(expect(jobs, estimate(plan).seconds), lanes or 1)
        say = functools.partial(snakemake_logger.info, extra={"quietness": Quietness.PROGRESS})
        say(run.line)
        snakemake_logger.addHandler(Follower(run, say))
    except Exception as error:
        snakemake_logger.warning(f"the time left is not known: {type(error).__name__}: {error}")


def _time(path: Path) -> float | None:
    """Return the seconds in a job's benchmark, or None where it has none."""
    try:
        rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
        return float(rows[1][rows[0].index("s")])
    except (OSError, ValueError, IndexError):
        return None


def _in_words(seconds: float) -> str:
    """Return a time that is not known exactly.

    Examples
    --------
    >>> _in_words(20), _in_words(100), _in_words(3000), _in_words(20000)
    ('less than a minute', 'about 2 minutes', 'about 50 minutes', 'about 5.6 hours')
    """
    if seconds < 60:
        return "less than a minute"
    if seconds < 90 * 60:
        return f"about {max(round(seconds / 60), 2)} minutes"
    return f"about {seconds / 3600:.1f} hours"
