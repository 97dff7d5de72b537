"""Say what this machine has for the workflow, what is missing, and for what: python tools/doctor.py.

Ends with exit code 1 when something is missing without which the default run cannot finish. Packages are missing only
after the set-up: before it they are not installed yet, and everything else is found without them.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow/scripts"))

PYTHON = (3, 11)
MEMORY = 6000 * 2**20
"""Bytes of memory that the largest job of the default run asks for."""
DISK = 3 * 10**9
"""Bytes that the default run writes to results/ and resources/, and some room besides."""
PACKAGES = 2 * 10**9
"""Bytes of the packages of Python, without CUDA."""
NAMED = 3
"""How many packages are named at most that are not installed."""
SET_UP = Path(sys.prefix, "run.stamp")
"""What the Makefile leaves in an environment after its packages."""
COMPILERS = ("c++", "g++", "clang++")
"""Where CXX names none, the first of these that there is compiles the kernels, as in `block_sparse.cpu.build`."""
GOOD, WANTING, FATAL = "ok", "without", "MISSING"


@dataclass(frozen=True)
class Finding:
    """What was found of one thing that the workflow can use: `state` is one of `GOOD`, `WANTING` and `FATAL`."""

    state: str
    name: str
    text: str


def packages() -> dict[str, str | None]:
    """Return the version of each package of requirements.txt, None where it is not installed."""
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    found: dict[str, str | None] = {}
    for name in filter(None, (line.split("#")[0].strip() for line in lines)):
        try:
            found[name] = metadata.version(name).split("+")[0]
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def of_python() -> Iterator[Finding]:
    """Find the version of Python and the packages of the lock."""
    good = sys.version_info[:2] >= PYTHON
    yield Finding(GOOD if good else FATAL, "Python", f"{platform.python_version()} (3.11 is tested; older ones fail)")
    lock = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text("utf-8").split() if "==" in line)
    versions = packages()
    absent = [name for name, version in versions.items() if version is None]
    other = [
        f"{name} {version} instead of {lock[name]}"
        for name, version in versions.items()
        if version and version != lock.get(name, version)
    ]
    if absent:
        names = ", ".join(absent[:NAMED]) + (f" and {len(absent) - NAMED} more" if len(absent) > NAMED else "")
        if SET_UP.exists():
            yield Finding(FATAL, "packages", f"not installed: {names}; remove {SET_UP}, then `make run` installs them")
        else:
            yield Finding(WANTING, "packages", f"not installed yet: {names}; `make run` and `make demo` install them")
    elif other:
        yield Finding(WANTING, "packages", f"other versions than those tested: {'; '.join(other)}")
    else:
        yield Finding(GOOD, "packages", "all in the versions of constraints.txt")


def of_machine(installed: bool = True) -> Iterator[Finding]:
    """Find cores, memory, disk and the right to write; without packages the disk must hold them too."""
    from sparse_attention.files.room import size
    from sparse_attention.settings import machine
    from sparse_attention.settings.folders import why_read_only, why_unusable

    yield Finding(GOOD, "cores", str(os.cpu_count()))
    total = machine.memory()
    text = f"{size(total)}; trainings ask for {size(MEMORY)}"
    yield Finding(GOOD if total >= MEMORY else WANTING, "memory", text)
    free, needed = shutil.disk_usage(Path.cwd()).free, DISK if installed else DISK + PACKAGES
    what = "the default run needs" if installed else "packages and the default run need"
    text = f"{size(free)} are free; {what} {size(needed)}, larger runs more: make estimate"
    yield Finding(GOOD if free >= needed else FATAL, "disk", text)
    problem = why_unusable(Path.cwd()) or why_read_only(Path.cwd())
    yield Finding(FATAL if problem else GOOD, "folder", problem or "can be written")


def of_acceleration() -> Iterator[Finding]:
    """Find a GPU that PyTorch can use, and a compiler that compiles the kernels."""
    import torch

    from sparse_attention.block_sparse.cpu.build import find_compiler, library

    if torch.cuda.is_available():
        yield Finding(GOOD, "GPU", torch.cuda.get_device_name())
    else:
        build = torch.__version__ if torch.version.cuda else f"{torch.__version__} is a build without CUDA"
        yield _without_gpu(f"none can be used ({build})")
    compiler = find_compiler()
    if compiler and library():
        yield Finding(GOOD, "C++ compiler", f"{compiler}; attention with block lists is compiled")
    else:
        yield _without_compiler(f"{compiler} cannot compile the kernels" if compiler else "none is found")


def of_acceleration_before_the_set_up() -> Iterator[Finding]:
    """Find the programs that come with a GPU and a compiler; whether they work shows only with the packages."""
    driver = shutil.which("nvidia-smi")
    if driver:
        yield Finding(GOOD, "GPU", f"{driver} is there; whether PyTorch can use a GPU shows after the set-up")
    else:
        yield _without_gpu("nvidia-smi is not there")
    named = os.environ.get("CXX")
    found = [path for name in ([named] if named else COMPILERS) if (path := shutil.which(name))]
    if found:
        yield Finding(GOOD, "C++ compiler", f"{found[0]}; whether it compiles the kernels shows after the set-up")
    else:
        yield _without_compiler("none is found")


def _without_gpu(why: str) -> Finding:
    text = f"{why}; only trainings at the published scale need one: on CPUs they take days"
    return Finding(WANTING, "GPU", text)


def _without_compiler(why: str) -> Finding:
    text = f"{why}: training with entmax takes longer, results are the same (Debian: apt-get install g++)"
    return Finding(WANTING, "C++ compiler", text)


def of_deployment() -> Iterator[Finding]:
    """Find the programs that some ways of running need."""
    from sparse_attention.settings.deployment import why_no_conda

    problem = why_no_conda(["conda"])
    yield Finding(WANTING if problem else GOOD, "conda", problem or f"{shutil.which('conda')}, for --use-conda")
    others = {"apptainer": "runs in a container", "sbatch": "runs on Slurm", "git": "the commit in the manifest"}
    for program, purpose in others.items():
        place = shutil.which(program)
        yield Finding(
            GOOD if place else WANTING, program, f"{place}, for {purpose}" if place else f"only needed for {purpose}"
        )


def findings() -> list[Finding]:
    """Return all findings; with a Python that is too old, only that."""
    found = list(of_python())
    if "Python" in {finding.name for finding in found if finding.state == FATAL}:
        return found
    installed = None not in packages().values()
    acceleration = of_acceleration() if installed else of_acceleration_before_the_set_up()
    return [*found, *of_machine(installed), *acceleration, *of_deployment()]


def main() -> None:
    """Print the findings."""
    found = findings()
    for finding in found:
        print(f"{finding.state:8s} {finding.name:13s} {finding.text}")
    missing = [finding.name for finding in found if finding.state == FATAL]
    ready = "the default run has all that it needs"
    if None in packages().values():
        ready += ", once its packages are installed"
    print(f"missing for the default run: {', '.join(missing)}" if missing else ready)
    sys.exit(bool(missing))


if __name__ == "__main__":
    main()
