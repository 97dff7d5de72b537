"""A scheduler that cannot be reached is told before any job."""

from __future__ import annotations

import pytest

from sparse_attention.jobs import scheduler


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Make the only commands of the machine, from their names and what they do."""

    def make(**programs):
        for name, text in programs.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
            (tmp_path / name).chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path))
    return make


def test_a_machine_without_slurm_is_told(commands):
    assert "no command sbatch" in scheduler.why_unreachable("slurm")


def test_a_controller_that_answers_is_reachable(commands):
    commands(sbatch="exit 0", scontrol="echo 'Slurmctld(primary) at head is UP'")
    assert scheduler.why_unreachable("slurm") is None


def test_a_controller_that_is_down_is_quoted(commands):
    commands(sbatch="exit 0", scontrol="echo 'Slurmctld(primary) at head is DOWN'; exit 1")
    assert "`scontrol ping`: Slurmctld(primary) at head is DOWN" in scheduler.why_unreachable("slurm")


def test_a_controller_that_is_silent_is_told(commands, monkeypatch):
    commands(sbatch="exit 0", scontrol="exec /bin/sleep 10")
    monkeypatch.setattr(scheduler, "ANSWER_SECONDS", 0.1)
    assert "no answer in 0.1 s" in scheduler.why_unreachable("slurm")


def test_a_missing_submit_command_is_named(commands):
    commands(bsub="exit 0")
    assert "no command qsub " in scheduler.why_unreachable("cluster-generic", "qsub -l mem={resources.mem_mb}mb")
    assert scheduler.why_unreachable("cluster-generic", "bsub -n {threads}") is None


@pytest.mark.parametrize(
    "command",
    ["$HOME/bin/q {threads}", "~/bin/q", "ACCOUNT=x qsub", "cd /tmp && qsub", "{resources.submit} -x", " ", "'qsub"],
)
def test_what_only_the_shell_can_find_is_not_judged(commands, command):
    assert scheduler.why_unreachable("cluster-generic", command) is None


def test_slurm_without_its_tools_is_told(commands):
    commands(sbatch="exit 0")
    assert "No such file or directory: 'scontrol'" in scheduler.why_unreachable("slurm")


@pytest.mark.parametrize("executor", ["local", "kubernetes"])
def test_other_executors_are_left_alone(commands, executor):
    assert scheduler.why_unreachable(executor) is None
