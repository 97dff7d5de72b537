"""Compiles the kernels at their first use, and keeps them for the next time.

The compiler is called directly: PyTorch's own tool for extensions waits for ever on the lock of a killed build, and
takes half a minute for headers that are not needed here.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from sparse_attention.jobs.log import logger

SOURCES = Path(__file__).parent
COMPILERS = ("c++", "g++", "clang++")
# No flag that lets the compiler assume that numbers are finite or may be added in another order.
FLAGS = ("-O3", "-std=c++17", "-fno-math-errno", "-shared", "-fPIC")
TARGETS = {"x86_64": ("-march=native", "-mprefer-vector-width=512"), "AMD64": ("-march=native",)}
OTHER_TARGET = ("-mcpu=native",)


@functools.cache
def library() -> ctypes.CDLL | None:
    """Return the compiled kernels; None, and a line in the log, where they cannot be compiled."""
    compiler = find_compiler()
    if compiler is None:
        logger.info("no C++ compiler is found, so PyTorch's operations compute, which is slower")
        return None
    try:
        return ctypes.CDLL(str(compiled(compiler)))
    except (OSError, subprocess.CalledProcessError) as error:
        lines = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        reason = next((line for line in lines if "error:" in line), lines[-1])
        logger.warning(
            "PyTorch's operations compute, which is slower, because the kernels cannot be compiled: %s", reason[-400:]
        )
        return None


def describe() -> dict[str, str]:
    """Return how the kernels are compiled: the compiler's first line about itself, and the flags."""
    compiler = find_compiler()
    if compiler is None:
        return {}
    flags = (*FLAGS, *_target())
    return {"compiler": _version(compiler).partition("\n")[0], "flags": shlex.join(flags)}


def find_compiler() -> str | None:
    """Return the path of the C++ compiler: that of the variable CXX, or the first of `COMPILERS` that there is."""
    named = os.environ.get("CXX")
    found = (shutil.which(name) for name in ([named] if named else COMPILERS))
    return next(filter(None, found), None)


def compiled(compiler: str, target: tuple[str, ...] | None = None) -> Path:
    """Return the library that `compiler` makes of the sources for a target, by default this machine's processor.

    Raises
    ------
    CalledProcessError
        When the compiler refuses, with what it said.
    OSError
        When no folder can be written.
    """
    chosen = _target() if target is None else target
    key = _digest(compiler, chosen)
    folder = _folder()
    path = folder / f"attention-{key}.so"
    with FileLock(folder / f"attention-{key}.lock"):
        if not path.exists():
            partial = folder / f"attention-{key}.{os.getpid()}.partial"
            _compile(compiler, chosen, partial)
            partial.replace(path)
    return path


def _compile(compiler: str, target: tuple[str, ...], path: Path) -> None:
    sources = sorted(map(str, SOURCES.glob("*.cpp")))
    logger.info("compiling the kernels: %s", shlex.join([compiler, *FLAGS, *target]))
    command = [compiler, *FLAGS, *target, *sources, "-o", str(path)]
    try:
        subprocess.run([*command, "-fopenmp"], check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError:
        # without OpenMP, such as on macOS: the same results on one thread
        subprocess.run(command, check=True, capture_output=True, text=True)


def _digest(compiler: str, target: tuple[str, ...]) -> str:
    """Name a build by all that it depends on; `native` means another processor on another node of a cluster."""
    state = hashlib.sha256()
    for path in sorted([*SOURCES.glob("*.cpp"), *SOURCES.glob("*.h")]):
        state.update(path.read_bytes())
    for part in (*FLAGS, *target, _version(compiler), platform.platform(), *_processor()):
        state.update(part.encode())
    return state.hexdigest()[:16]


def _target() -> tuple[str, ...]:
    return TARGETS.get(platform.machine(), OTHER_TARGET)


def _version(compiler: str) -> str:
    return subprocess.run([compiler, "--version"], capture_output=True, text=True).stdout


def _processor() -> Iterator[str]:
    """Yield what this machine's processor can do, on Linux; elsewhere homes are rarely shared by unlike machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    yield from sorted({line for line in lines if line.startswith(("flags", "Features", "model name"))})


def _folder() -> Path:
    """Return a folder for builds: the user's cache, or where that cannot be written a temporary one."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sparse_attention"
    try:
        home.mkdir(parents=True, exist_ok=True)
        if os.access(home, os.W_OK):
            return home
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="sparse_attention-"))
