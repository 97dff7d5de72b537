"""Starts a small Slurm on this machine: one controller and two nodes, from the packages of Debian."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from debian import why_missing

PACKAGES = ("slurm-wlm", "munge")
COMMANDS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue")
# a job step looks here only: the executor removes SLURM_CONF from its surroundings
PLACE = Path("/etc/slurm/slurm.conf")
FILES = ("slurm.conf", "gres.conf")
NODES = ("n1", "n2")
HEAD = "ClusterName=test\n"
CONFIGURATION = (
    HEAD
    + """\
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=17000
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
# without control groups the memory of a job is read every few seconds
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory,CR_LLN
SchedulerParameters=sched_interval=1,batch_sched_delay=0
AccountingStorageType=accounting_storage/none
GresTypes=gpu
ReturnToService=2
# jobs are asked for after they have ended
MinJobAge=36000
KillWait=5
SlurmdTimeout=10
SlurmctldTimeout=10
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port=17001 CPUs=16 RealMemory=64000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port=17002 CPUs=16 RealMemory=64000 Gres=gpu:a100:1
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE OverTimeLimit=0
PartitionName=gpu Nodes=n2 MaxTime=INFINITE
"""
)


def why_impossible() -> str | None:
    """Return why no cluster can be started here, after installing what is missing, or None."""
    if os.geteuid():
        return "a Slurm of one's own needs root"
    # what a killed test left behind is a link that the next one replaces
    if PLACE.exists() and not (PLACE.is_symlink() and PLACE.read_text().startswith(HEAD)):
        return f"{PLACE} exists: this machine has a Slurm already"
    return why_missing(COMMANDS, PACKAGES)


class Cluster:
    """A controller, its nodes `n1` and `n2`, and their authentication, under one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.configuration = folder / "slurm.conf"
        for name in ("state", "spool", "munge"):
            (folder / name).mkdir(parents=True)
        self.configuration.write_text(CONFIGURATION.format(host=socket.gethostname().split(".")[0], folder=folder))
        (folder / "gres.conf").write_text("NodeName=n2 Name=gpu Type=a100 File=/dev/null\n")

    def start(self) -> None:
        """Start all daemons and wait until both nodes are idle."""
        PLACE.parent.mkdir(exist_ok=True)
        for file in FILES:
            PLACE.with_name(file).unlink(missing_ok=True)
            PLACE.with_name(file).symlink_to(self.folder / file)
        munge = self.folder / "munge"
        (munge / "key").write_bytes(secrets.token_bytes(128))
        (munge / "key").chmod(0o600)
        files = [f"--{kind}={munge / name}" for kind, name in
                 (("key-file", "key"), ("socket", "socket"), ("pid-file", "pid"), ("log-file", "log"),
                  ("seed-file", "seed"))]  # fmt: skip
        _call("munged", "--force", *files)
        self.start_controller()
        for node in NODES:
            self.start_node(node)
        self.wait_for("both nodes are idle", lambda: self.states() == dict.fromkeys(NODES, "idle"))

    def stop(self) -> None:
        """Kill every job and daemon, and remove what lies outside of the folder."""
        for node in NODES:
            self.kill_node(node)
        self.kill_controller()
        _kill(self.folder / "munge" / "pid")
        for file in FILES:
            PLACE.with_name(file).unlink(missing_ok=True)

    def start_controller(self) -> None:
        """Start the controller."""
        _call("slurmctld", "-f", self.configuration)

    def kill_controller(self) -> None:
        """Kill the controller, as in a crash."""
        _kill(self.folder / "slurmctld.pid")

    def start_node(self, node: str) -> None:
        """Start the daemon of a node."""
        _call("slurmd", "-f", self.configuration, "-N", node)

    def kill_node(self, node: str) -> None:
        """Kill the daemon of a node and all that it started, as when the machine loses power."""
        dying = [process for process in psutil.process_iter() if _node_of(process) == node]
        dying += [parent for process in dying for parent in _parents(process) if parent.name() == "slurmstepd"]
        _kill(self.folder / f"slurmd-{node}.pid")
        for process in dying:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def states(self) -> dict[str, str]:
        """Return the state of each node."""
        return dict(line.split() for line in _call("sinfo", "-h", "-N", "-p", "main", "-o", "%N %T").splitlines())

    def jobs(self) -> dict[str, dict[str, str]]:
        """Return state, comment, node, memory and time limit of every job so far."""
        names = ("state", "comment", "node", "memory", "limit")
        lines = _call("squeue", "-h", "--states=all", "-o", "%i|%T|%k|%N|%m|%l").splitlines()
        return {job: dict(zip(names, rest, strict=True)) for job, *rest in (line.split("|") for line in lines)}

    def request(self, job: str) -> str:
        """Return all that Slurm knows of a job."""
        return _call("scontrol", "show", "job", job)

    def cancel(self, job: str) -> None:
        """Cancel a job."""
        _call("scancel", job)

    def wait_for(self, what: str, check: Callable[[], bool], seconds: float = 60) -> None:
        """Wait until `check` holds; raise `TimeoutError` that says what was waited for."""
        end = time.monotonic() + seconds
        while not check():
            if time.monotonic() > end:
                raise TimeoutError(f"waited {seconds} s until {what}; nodes {self.states()}, jobs {self.jobs()}")
            time.sleep(0.25)


def _call(*command: str | Path) -> str:
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {run.stderr}")
    return run.stdout


def _node_of(process: psutil.Process) -> str | None:
    """Return the node for which a process of a job runs, or None for other processes."""
    with contextlib.suppress(psutil.Error):
        return process.environ().get("SLURMD_NODENAME")
    return None


def _parents(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.parents()
    return []


def _kill(record: Path) -> None:
    """Kill the daemon whose process id is in a file, if it is still there."""
    with contextlib.suppress(FileNotFoundError, psutil.NoSuchProcess):
        psutil.Process(int(record.read_text())).kill()
