"""A run that is killed three times, and disturbed by a second one, gives the same tables as one left alone.

It makes two tables and what these need. tests/system/test_kill.py kills runs of the whole workflow.
"""

from __future__ import annotations

import random
import re
import time

import psutil
import pytest

from killing import RESUME, EndedRuns

SEED = 7
# a table of each pipeline; what they need has every kind of job that runs long or resumes
TARGETS = ("results/tables/projections.tsv", "results/tables/pruning.tsv")
RULES = {"train_mlm", "extract_qk", "fit_projections", "train_classifier", "prune_soft", "prune_hard", "retrain_pruned"}


@pytest.fixture
def runs(checkout, finished):
    return EndedRuns(checkout, finished, TARGETS)


def test_three_kills_and_a_second_run_change_nothing(runs):
    rng = random.Random(SEED)

    # while a model is trained, after its first resume point, the whole process group
    runs.end(runs.start_until(lambda _: list(runs.folder.glob(RESUME))))
    assert runs.points, "no training was interrupted"

    # anywhere, the whole process group again; before that, a second run beside it is refused
    wanted = runs.jobs + rng.randrange(2, 6)
    process = runs.start_until(lambda _: runs.jobs >= wanted)
    second = runs.checkout.snakemake()
    assert second.returncode == 1
    (refusal,) = [line for line in second.stderr.splitlines() if "another run is active" in line]
    assert f"process {process.pid}. Wait for it" in refusal
    time.sleep(rng.uniform(0, 1.5))
    runs.end(process)

    # Snakemake alone: its jobs notice it, and the next run waits for their end
    jobs: list[psutil.Process] = []
    process = runs.start_until(
        lambda pid: runs.jobs > wanted and not runs.in_training() and (jobs.extend(scripts_of(pid)) or jobs)
    )
    runs.end(process, group=False)
    runs.finish()
    finished_rules = re.findall(r"^Finished jobid: .* \(Rule: (\w+)\)$", runs.log.read_text(), re.MULTILINE)
    assert set(finished_rules) >= RULES
    assert [job for job in jobs if job.is_running()] == []


def scripts_of(pid):
    """Return the processes that run scripts of the workflow for a Snakemake process."""
    children = psutil.Process(pid).children(recursive=True)
    return [child for child in children if any(".snakemake/scripts" in part for part in child.cmdline())]
