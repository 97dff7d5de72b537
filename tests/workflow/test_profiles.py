"""The profiles for clusters fit the rules, the default profile and each other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import make_envs

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "profiles").glob("*/*.yaml"))
SETTINGS = {path.relative_to(ROOT / "profiles").as_posix(): yaml.safe_load(path.read_text()) for path in FILES}
DEFAULT = SETTINGS.pop("default/config.yaml")
RULES = {
    name: text
    for path in sorted((ROOT / "rules").glob("*.smk"))
    for name, text in re.findall(r"^ *rule (\w+):\n(.*?)(?=^ *rule |\Z)", path.read_text(), re.MULTILINE | re.DOTALL)
}


@pytest.mark.parametrize("profile", SETTINGS)
def test_profiles_set_nothing_that_the_default_profile_overrides(profile):
    assert set(SETTINGS[profile]) & set(DEFAULT) == set()


def test_the_default_profile_leaves_default_resources_to_the_site():
    assert "default-resources" not in DEFAULT


@pytest.mark.parametrize("profile", SETTINGS)
def test_profiles_name_rules_that_exist(profile):
    named = {*SETTINGS[profile].get("groups", {}), *SETTINGS[profile].get("set-resources", {})}
    named |= {*SETTINGS[profile].get("slurm-array-jobs", "").split(",")} - {""}
    assert named <= set(RULES)


def test_only_groups_that_exist_are_joined():
    for settings in SETTINGS.values():
        assert set(settings.get("group-components", {})) <= set(settings.get("groups", {}).values())


def test_every_rule_that_can_use_a_gpu_is_given_one():
    able = {name for name, text in RULES.items() if re.search(r"gpu=GPU|\*\*\w+_RESOURCES", text)}
    assert set(SETTINGS["slurm-gpu/config.yaml"]["set-resources"]) == able


def test_schedulers_group_the_same_jobs():
    assert SETTINGS["slurm/config.yaml"]["groups"] == SETTINGS["cluster-generic/config.yaml"]["groups"]


@pytest.mark.parametrize("name", RULES)
def test_rules_state_memory_and_time(name):
    assert re.search(r"_RESOURCES|growing\(mem_mb=\d+, runtime=\d+\)", RULES[name])


@pytest.mark.parametrize(
    "file", sorted((ROOT / "profiles").glob("*/requirements.txt")), ids=lambda path: path.parent.name
)
def test_plugins_have_exact_versions(file):
    lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    wanted = [Requirement(line) for line in lines]
    assert all(str(need.specifier).startswith("==") for need in wanted)
    assert not {make_envs.canonicalize_name(need.name) for need in wanted} & set(make_envs.read_lock())


@pytest.mark.parametrize("profile", SETTINGS)
def test_scripts_of_profiles_can_be_run(profile):
    folder = ROOT / "profiles" / Path(profile).parent
    for value in map(str, SETTINGS[profile].values()):
        for name in re.findall(r"[\w-]+\.sh", value):
            assert (folder / name).stat().st_mode & 0o111, name
