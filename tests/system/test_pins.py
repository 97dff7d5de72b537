"""Every environment's pins can be installed on every supported platform, and bring nothing that is not pinned."""

from __future__ import annotations

import os
import re
import subprocess

import pytest
import yaml

import make_envs
from conda_installation import install_tools

# the oldest systems for which torch has packages: glibc 2.28, macOS 14
PLATFORMS = {
    "linux-64": "x86_64-manylinux_2_28",
    "linux-aarch64": "aarch64-manylinux_2_28",
    "osx-arm64": "aarch64-apple-darwin",
}
# published as source only, without compiled code
SOURCE_ONLY = ["connection-pool"]
ENVIRONMENTS = {f"envs/{rule}.yaml": needs for needs, rule in
                {tuple(needs): rule for rule, needs in reversed(make_envs.read_rules().items())}.items()}  # fmt: skip
ENVIRONMENTS["environment.yaml"] = tuple(make_envs.read_driver())


@pytest.fixture(scope="module")
def uv(tmp_path_factory):
    return install_tools(tmp_path_factory.mktemp("tools") / "venv") / "uv"


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("file", ENVIRONMENTS)
def test_pins_resolve(file, platform, uv, tmp_path):
    dependencies = yaml.safe_load((make_envs.ROOT / file).read_text())["dependencies"]
    pins = next(item["pip"] for item in dependencies if isinstance(item, dict))
    # the packages that the scripts name, held to the pins; resolving finds the rest
    needs, constraints = tmp_path / "needs.txt", tmp_path / "constraints.txt"
    needs.write_text("\n".join(sorted(set(ENVIRONMENTS[file]) - {"pip"})))
    constraints.write_text("\n".join(pins))
    command = [uv, "pip", "compile", "--quiet", "--no-config", "--no-header", "--no-annotate", "--python-version",
               make_envs.PYTHON, "--python-platform", PLATFORMS[platform], "--only-binary", ":all:",
               *(f"--no-binary={name}" for name in SOURCE_ONLY), "--constraint", constraints, needs]  # fmt: skip
    environment = {**os.environ, "MACOSX_DEPLOYMENT_TARGET": "14.0"}
    if index := os.environ.get("PIP_INDEX_URL"):
        environment["UV_DEFAULT_INDEX"] = index
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    found = set(re.findall(r"^\S+==\S+$", run.stdout, re.MULTILINE))
    unpinned = {pin for pin in found - set(pins) if not pin.startswith(make_envs.BROUGHT_BY_TORCH)}
    assert unpinned == set() and len(found) >= len(needs.read_text().split())
