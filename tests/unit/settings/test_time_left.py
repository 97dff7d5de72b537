"""The time that a run still takes, from made-up times."""

from __future__ import annotations

import logging
from dataclasses import replace
from types import SimpleNamespace

import pytest

from plans import plan
from sparse_attention.settings.time_left import DOUBT, SHORT, TRUST, Follower, Job, TimeLeft, expect, follow

TRAIN, EVALUATE, TABLE, ALL = 1, 2, 3, 4
JOBS = {
    ALL: Job("all", after=(TABLE,)),
    TABLE: Job("summarise", "results/benchmarks/summarise/a.tsv", after=(EVALUATE,)),
    EVALUATE: Job("evaluate", "results/benchmarks/evaluate/seed~2.tsv", after=(TRAIN,)),
    TRAIN: Job("train", "results/benchmarks/train/seed~1.tsv", cores=2),
}


class Clock:
    time = 1000.0

    def __call__(self):
        return self.time


@pytest.fixture
def clock():
    return Clock()


def run_of(clock, seconds, lanes=2, cores=1, after=()):
    """Return a run of numbered jobs that take these seconds."""
    return TimeLeft({i: Job("rule", "b", cores, after, s) for i, s in enumerate(seconds)}, lanes, clock)


def benchmark(folder, name, seconds):
    path = folder / "results/benchmarks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:01\t-\n")


def test_a_job_takes_as_long_as_before_else_as_its_rule_else_as_the_rates_say(tmp_path):
    benchmark(tmp_path, "evaluate/seed~2.tsv", 30.0)
    benchmark(tmp_path, "evaluate/seed~1.tsv", 50.0)
    others = {5: Job("evaluate", "results/benchmarks/evaluate/seed~3.tsv"), 6: replace(JOBS[TRAIN], benchmark="new")}
    found = expect({**JOBS, **others}, {"train": 400.0, "evaluate": 7.0}, tmp_path)
    assert {index: job.seconds for index, job in found.items()} == {
        EVALUATE: 30.0,
        5: 40.0,
        # two jobs, two cores
        TRAIN: 100.0,
        6: 100.0,
        TABLE: SHORT,
        # a target computes nothing
        ALL: 0.0,
    }


@pytest.mark.parametrize("text", ["", "s\n", "h:m:s\n0:00:01\n", "s\nNA\n"], ids=["empty", "cut", "other", "text"])
def test_a_benchmark_without_a_time_counts_as_none(tmp_path, text):
    benchmark(tmp_path, "train/seed~1.tsv", 5.0)
    (tmp_path / "results/benchmarks/train/seed~1.tsv").write_text(text)
    assert expect(JOBS, {}, tmp_path)[TRAIN].seconds == SHORT


def test_a_rule_with_a_single_job_has_its_benchmark_beside_the_folders(tmp_path):
    benchmark(tmp_path, "report.tsv", 9.0)
    assert expect({1: Job("report", "results/benchmarks/elsewhere.tsv")}, {}, tmp_path)[1].seconds == 9.0


def test_the_work_is_shared_by_the_cores(clock):
    assert run_of(clock, [100.0] * 6).left == 300.0
    assert run_of(clock, [100.0] * 6, lanes=1).left == 600.0
    # a job with more threads than there are cores is scaled down
    assert run_of(clock, [100.0] * 6, cores=4).left == 600.0


def test_the_longest_chain_of_jobs_cannot_be_shared(clock):
    jobs = expect(JOBS, {"train": 400.0, "evaluate": 90.0})
    assert TimeLeft(jobs, 16, clock).left == 200.0 + 90.0 + SHORT


def test_what_has_ended_and_what_runs_is_taken_off(clock):
    run = run_of(clock, [60.0, 60.0, 60.0], lanes=1)
    run.start(0)
    clock.time += 60
    run.end(0)
    assert run.pace == 1 and run.left == 120.0
    run.start(1)
    clock.time += 20
    assert run.left == 100.0
    # a job that takes longer than expected may end at any moment
    clock.time += 1000
    assert run.left == 60.0


def test_a_slow_run_takes_longer_than_expected(clock):
    run = run_of(clock, [100.0, 100.0], lanes=1)
    run.start(0)
    clock.time += 300
    run.end(0)
    assert run.pace == 3.0 and run.left == 300.0


def test_little_that_has_ended_does_not_change_the_pace(clock):
    run = run_of(clock, [0.9 * TRUST, 500.0], lanes=1)
    run.start(0)
    clock.time += 10 * TRUST
    run.end(0)
    assert run.pace == 1.0


def test_jobs_that_have_ended_tell_of_their_own_rule_most(clock):
    jobs = {i: Job("train", "b", 1, (), 4000.0) for i in range(3)} | {3: Job("evaluate", "b", 1, (), 100.0)}
    run = TimeLeft(jobs, 1, clock)
    for job in (0, 1):
        run.start(job)
        clock.time += 1000
        run.end(job)
    assert run.paces == {"train": 0.25, "evaluate": 0.25}


def test_a_rule_of_which_nothing_was_known_is_soon_known_and_says_nothing_of_others(clock):
    jobs = {i: Job("train", "b", 1, (), 2.0) for i in range(2)} | {2: Job("evaluate", "b", 1, (), 100.0)}
    run = TimeLeft(jobs, 1, clock)
    run.start(0)
    clock.time += 1000
    run.end(0)
    paces = run.paces
    assert paces["train"] == (1000 + DOUBT * 2) / (2 + DOUBT * 2) and paces["evaluate"] == 1.0
    assert run.left == 2 * paces["train"] + 100
    assert run.line.startswith("Progress: 1 of 3 jobs, 47 % of the work")


def test_a_job_that_starts_again_is_timed_from_there(clock):
    run = run_of(clock, [50.0])
    run.start(0)
    clock.time += 500
    run.start(0)
    clock.time += 50
    run.end(0)
    assert run.pace == 1


def test_the_line_tells_jobs_work_and_time(clock):
    run = run_of(clock, [900.0, 60.0, 40.0], lanes=1)
    assert run.line == "Progress: 0 of 3 jobs, 0 % of the work, about 17 minutes left"
    run.start(0)
    clock.time += 900
    run.end(0)
    assert run.line == "Progress: 1 of 3 jobs, 90 % of the work, about 2 minutes left"


def event(name, **values):
    return logging.makeLogRecord({"event": name, "msg": None, **values})


def test_the_line_follows_snakemakes_own_until_the_last_job(clock):
    said = []
    follower = Follower(run_of(clock, [10.0, 10.0]), said.append)
    for job in (0, 1):
        follower.handle(event("job_info", jobid=job))
        follower.handle(event("job_finished", job_id=job))
        follower.handle(event("progress", done=job + 1, total=2))
    follower.handle(logging.makeLogRecord({"msg": "a message"}))
    assert said == ["Progress: 1 of 2 jobs, 50 % of the work, less than a minute left"]


def test_an_unknown_job_does_not_disturb_the_run(clock, monkeypatch, capsys):
    said = []
    follower = Follower(run_of(clock, [10.0, 10.0]), said.append)
    follower.handle(event("job_finished", job_id=7))
    assert "KeyError: 7" in capsys.readouterr().err
    follower.handle(event("progress", done=1, total=2))
    assert said == ["Progress: 0 of 2 jobs, 0 % of the work, less than a minute left"]


def test_a_workflow_that_cannot_be_read_is_run_all_the_same(caplog):
    logger = logging.getLogger("test_time_left")
    follow(logger, SimpleNamespace(), plan())
    assert "the time left is not known: AttributeError" in caplog.text and not logger.handlers
