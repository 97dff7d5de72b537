from __future__ import annotations

import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

import doctor
from sparse_attention.settings import needs


def states(found):
    return {finding.name: finding.state for finding in found}


def test_this_machine_can_run_the_workflow():
    run = subprocess.run([sys.executable, doctor.__file__], capture_output=True, text=True, cwd=doctor.ROOT)
    assert run.returncode == 0, run.stdout + run.stderr
    *lines, last = run.stdout.splitlines()
    assert last == "the default run has all that it needs"
    names = [line[9:22].strip() for line in lines]
    assert names == ["Python", "packages", "cores", "memory", "disk", "folder", "GPU", "C++ compiler", "conda",
                     "apptainer", "sbatch", "git"]  # fmt: skip


def test_a_package_that_is_not_installed_is_fatal(monkeypatch):
    def version(name):
        if name == "torch":
            raise doctor.metadata.PackageNotFoundError
        return "1"

    monkeypatch.setattr(doctor.metadata, "version", version)
    found = doctor.findings()
    assert states(found)["packages"] == doctor.FATAL
    assert "not installed: torch;" in found[1].text
    # what needs no packages is found all the same
    assert {"cores", "disk", "folder", "git"} <= states(found).keys()
    assert states(found).keys().isdisjoint({"memory", "GPU", "C++ compiler"})


def test_before_the_set_up_it_works_without_any_package(tmp_path):
    run = subprocess.run([sys.executable, "-S", doctor.__file__], capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 1 and run.stderr == ""
    lines = run.stdout.splitlines()
    assert re.fullmatch(
        r"MISSING  packages +not installed: accelerate, bandit, datasets and \d+ more; `make run`.*", lines[1]
    )
    assert any(line.startswith("ok       disk") and "packages and the default run need 5 GB" in line for line in lines)
    assert lines[-1] == "missing for the default run: packages"


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
    monkeypatch.setattr(needs, "memory", lambda: 2**31)
    assert states(doctor.of_machine())["memory"] == doctor.WANTING


def test_a_missing_compiler_is_told(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    (compiler,) = [finding for finding in doctor.of_acceleration() if finding.name == "C++ compiler"]
    assert compiler.state == doctor.WANTING and compiler.text.startswith("none is found")
