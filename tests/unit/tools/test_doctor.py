from __future__ import annotations

import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

import doctor
from sparse_attention.block_sparse.cpu import build
from sparse_attention.settings import machine

NAMES = "Python,packages,cores,memory,disk,folder,GPU,C++ compiler,conda,apptainer,sbatch,git".split(",")


def states(found):
    return {finding.name: finding.state for finding in found}


def test_this_machine_can_run_the_workflow():
    run = subprocess.run([sys.executable, doctor.__file__], capture_output=True, text=True, cwd=doctor.ROOT)
    assert run.returncode == 0, run.stdout + run.stderr
    *lines, last = run.stdout.splitlines()
    assert last == "the default run has all that it needs"
    names = [line[9:22].strip() for line in lines]
    assert names == NAMES


@pytest.mark.parametrize("done", [True, False], ids=["after the set-up", "before it"])
def test_a_package_that_is_not_installed_is_missing_only_after_the_set_up(done, monkeypatch, tmp_path):
    def version(name):
        if name == "torch":
            raise doctor.metadata.PackageNotFoundError
        return "1"

    monkeypatch.setattr(doctor.metadata, "version", version)
    monkeypatch.setattr(doctor, "SET_UP", tmp_path / "run.stamp")
    if done:
        (tmp_path / "run.stamp").touch()
    found = doctor.findings()
    assert states(found)["packages"] == (doctor.FATAL if done else doctor.WANTING)
    assert ("not installed: torch;" if done else "not installed yet: torch;") in found[1].text
    # what needs no packages is found all the same
    assert [finding.name for finding in found] == NAMES


def test_before_the_set_up_it_works_without_any_package(tmp_path):
    run = subprocess.run([sys.executable, "-S", doctor.__file__], capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0 and run.stderr == ""
    *lines, last = run.stdout.splitlines()
    assert [line[9:22].strip() for line in lines] == NAMES
    assert re.fullmatch(
        r"without  packages +not installed yet: accelerate, bandit, datasets and \d+ more; `make run` .* install them",
        lines[1],
    )
    assert any(line.startswith("ok       disk") and "packages and the default run need 5 GB" in line for line in lines)
    assert last == "the default run has all that it needs, once its packages are installed"


@pytest.mark.parametrize(("there", "state"), [(True, doctor.GOOD), (False, doctor.WANTING)], ids=["there", "missing"])
def test_before_the_set_up_a_gpu_and_a_compiler_are_told_by_their_programs(there, state, monkeypatch):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(doctor.shutil, "which", lambda name: f"/usr/bin/{name}" if there else None)
    gpu, compiler = doctor.of_acceleration_before_the_set_up()
    assert gpu.state == compiler.state == state
    assert compiler.text.startswith("/usr/bin/c++; whether" if there else "none is found: training")
    assert doctor.COMPILERS == build.COMPILERS


def test_another_version_is_told(monkeypatch):
    real = doctor.metadata.version
    monkeypatch.setattr(doctor.metadata, "version", lambda name: "0.1" if name == "pandas" else real(name))
    (_, packages) = doctor.of_python()
    assert packages.state == doctor.WANTING and "pandas 0.1 instead of " in packages.text


def test_an_old_python_is_fatal(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 0))
    assert states(doctor.of_python())["Python"] == doctor.FATAL
    assert states(doctor.findings()).keys() == {"Python", "packages"}


@pytest.mark.parametrize(("free", "state"), [(10**9, doctor.FATAL), (10**10, doctor.GOOD)], ids=["small", "large"])
def test_a_small_disk_is_fatal(free, state, monkeypatch):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    assert states(doctor.of_machine())["disk"] == state


def test_little_memory_is_told(monkeypatch):
    monkeypatch.setattr(machine, "memory", lambda: 2**31)
    assert states(doctor.of_machine())["memory"] == doctor.WANTING


def test_a_missing_compiler_is_told(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    (compiler,) = [finding for finding in doctor.of_acceleration() if finding.name == "C++ compiler"]
    assert compiler.state == doctor.WANTING and compiler.text.startswith("none is found")
