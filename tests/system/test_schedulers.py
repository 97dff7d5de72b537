"""The profiles of other schedulers: stand-ins for qsub and bsub really run the jobs, Kubernetes is a dry run."""

from __future__ import annotations

import re
import subprocess

import pytest

from drivers import install_driver

# both run the script, whose name comes last, without a home folder, as many compute nodes lack one; the first job fails
SUBMIT = """
n=$(($(cat last 2>/dev/null || echo 0) + 1)); echo $n > last; echo "$@" > $n.options
for script; do :; done
export n script HOME=/proc/none
if [ $n = 1 ]; then echo 1 > $n.exit; else setsid sh -c 'sh "$script"; echo $? > $n.exit' > $n.log 2>&1 & fi
"""
COMMANDS = {
    "qsub": SUBMIT + "echo $n.server",
    "qstat": """
n=${3%.server}
if [ -e $n.exit ]; then echo "job_state = F"; echo "Exit_status = $(cat $n.exit)"; else echo "job_state = R"; fi
""",
    "bsub": SUBMIT + 'echo "Job <$n> is submitted to queue <normal>."',
    "bjobs": """
for n; do :; done
if [ ! -e $n.exit ]; then echo RUN; elif [ $(cat $n.exit) = 0 ]; then echo DONE; else echo EXIT; fi
""",
}


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    return install_driver(tmp_path_factory.mktemp("driver"), ["cluster-generic", "kubernetes"])


@pytest.fixture
def scheduler(tmp_path, monkeypatch):
    """Put stand-ins of the commands first on the path; return the folder where they leave what they were asked."""
    folder = tmp_path / "scheduler"
    folder.mkdir()
    for name, text in COMMANDS.items():
        (folder / name).write_text(f"#!/bin/sh\ncd {folder}\n{text}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return folder


def asked(scheduler):
    """Return the options of every job, in the order of submission."""
    return [file.read_text() for file in sorted(scheduler.glob("*.options"), key=lambda file: int(file.stem))]


LSF = ("--profile", "profiles/cluster-generic/bsub.yaml")


@pytest.mark.parametrize(
    ("more", "memory"),
    [pytest.param((), r"mem=(\d+)mb", id="qsub"), pytest.param(LSF, r"mem=(\d+)MB", id="bsub")],
)
def test_jobs_run_and_a_failed_one_is_tried_again_with_more(more, memory, scheduler, driver, checkout, finished):
    generic = ("--profile", "profiles/cluster-generic", *more, "--latency-wait", "10")
    until = "gold_support" if more == () else "tokenise"
    status, messages = driver.run(checkout.folder, *generic, "--until", until)
    assert status == 0, messages
    amounts = [int(re.search(memory, options)[1]) for options in asked(scheduler)]
    assert 2 * amounts[0] in amounts[1:]
    made = [path.relative_to(checkout.folder) for path in (checkout.folder / "results").rglob("*.tsv")]
    made = [path for path in made if not {"logs", "benchmarks"} & set(path.parts)]
    assert made
    assert all((checkout.folder / path).read_bytes() == (finished.folder / path).read_bytes() for path in made)


def test_a_missing_qsub_is_told_before_any_job(driver, checkout):
    status, messages = driver.run(checkout.folder, "--profile", "profiles/cluster-generic", "--until", "tokenise")
    assert status == 1
    assert (
        "there is no command qsub on this machine" in messages and "Retrieving" not in messages.split("Job stats")[-1]
    )


def test_kubernetes_plans_every_job(driver, checkout):
    storage = (
        "--default-storage-prefix",
        str(checkout.folder),
        "--local-storage-prefix",
        str(checkout.folder / "copies"),
    )
    status, messages = driver.run(checkout.folder, "--profile", "profiles/kubernetes", *storage, "--dry-run")
    assert status == 0, messages
    counts = dict(re.findall(r"^(\w+) +(\d+)$", messages, re.MULTILINE))
    local = subprocess.run(
        [driver.python, "-m", "snakemake", "--cores", "1", "--dry-run", "--configfile", "tests/config/tiny.yaml"],
        cwd=checkout.folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert counts == dict(re.findall(r"^(\w+) +(\d+)$", local.stdout + local.stderr, re.MULTILINE))
