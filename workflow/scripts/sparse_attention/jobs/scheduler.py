"""Checks before any job that the scheduler of a cluster can be reached."""

from __future__ import annotations

import re
import shutil
import subprocess

ANSWER_SECONDS = 60
PROGRAM = re.compile(r"[\w./+-]+(?=\s|$)")


def why_unreachable(executor: str, submit_command: str | None = None) -> str | None:
    """Return why jobs cannot be submitted from this machine, or None.

    Parameters
    ----------
    executor : str
        The name of the executor plugin; those that are not known here count as reachable.
    submit_command : str, optional
        The command with which the executor `cluster-generic` submits jobs.
    """
    if executor == "cluster-generic" and submit_command:
        # only a plain name or path is judged: the shell may find much else
        named = PROGRAM.match(submit_command.strip())
        if named and not _is_known(named[0]):
            return (
                f"cluster-generic-submit-cmd: there is no command {named[0]} on this machine; start on one from which "
                "jobs can be submitted, or name another command in the profile"
            )
    if executor == "slurm":
        if not shutil.which("sbatch"):
            return "there is no Slurm on this machine (no command sbatch); start on a login node of the cluster"
        return _why_slurm_is_silent()
    return None


def _is_known(program: str) -> bool:
    """Return whether the shell knows a command: a program on the path, or one of its own words, such as `cd`."""
    command = ["/bin/sh", "-c", 'command -v -- "$1"', "sh", program]
    return bool(shutil.which(program)) or subprocess.run(command, capture_output=True).returncode == 0


def _why_slurm_is_silent() -> str | None:
    """Return why the controller of Slurm does not answer, or None."""
    try:
        run = subprocess.run(["scontrol", "ping"], capture_output=True, text=True, timeout=ANSWER_SECONDS)
    except subprocess.TimeoutExpired:
        found = f"no answer in {ANSWER_SECONDS} s"
    except OSError as error:
        found = str(error)
    else:
        if run.returncode == 0:
            return None
        found = " ".join((run.stdout + run.stderr).split())
    return f"Slurm's controller cannot be reached (`scontrol ping`: {found}); start again when `sinfo` lists the nodes"
