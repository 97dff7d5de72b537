"""Write envs/<rule>.yaml: the packages that envs/rules.yaml names for a rule, and their dependencies, as locked.

The environment of Snakemake itself is written to environment.yaml in the same way. Run `make envs` after a change of
constraints.txt or envs/rules.yaml, in an environment installed from the lock, because the dependencies are read from
the installed packages.
"""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterable
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PYTHON = "3.11"
PLATFORMS = (("linux", "Linux", "x86_64"), ("linux", "Linux", "aarch64"), ("darwin", "Darwin", "arm64"))
# torch itself pins the exact versions of these on the only platform that has them
BROUGHT_BY_TORCH = ("nvidia-", "cuda-", "triton")
HEADER = "# Generated from envs/rules.yaml and constraints.txt by `make envs`: do not edit.\n"


def read_lock(path: Path = ROOT / "constraints.txt") -> dict[str, str]:
    """Return the version of each locked package, by canonical name."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pairs}


def read_requirements(path: Path) -> list[str]:
    """Return the canonical names in a requirements file, without those of the files that it includes."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [canonicalize_name(Requirement(line).name) for line in lines if line and line[0] not in "#-"]


def read_rules(path: Path = ROOT / "envs" / "rules.yaml") -> dict[str, list[str]]:
    """Return the packages that each rule names in envs/rules.yaml, as canonical names."""
    rules = yaml.safe_load(path.read_text(encoding="utf-8"))["rules"]
    return {rule: [canonicalize_name(name) for name in names] for rule, names in rules.items()}


def read_driver(path: Path = ROOT / "envs" / "rules.yaml") -> list[str]:
    """Return the packages that Snakemake itself and the rules need, as canonical names."""
    return [canonicalize_name(name) for name in yaml.safe_load(path.read_text(encoding="utf-8"))["driver"]]


def closure(direct: Iterable[str]) -> set[str]:
    """Return the canonical names of `direct` and of all its dependencies on every supported platform."""
    found: set[str] = set()
    todo = [(canonicalize_name(name), "") for name in direct]
    seen = set(todo)
    while todo:
        name, extra = todo.pop()
        found.add(name)
        if name.startswith(BROUGHT_BY_TORCH):  # not installed on every machine, so its dependencies cannot be read
            continue
        for text in importlib.metadata.requires(name) or []:
            requirement = Requirement(text)
            needed = canonicalize_name(requirement.name)
            if needed.startswith(BROUGHT_BY_TORCH) or not _applies(requirement, extra):
                continue
            new = {(needed, ""), *((needed, wanted) for wanted in requirement.extras)} - seen
            seen |= new
            todo += new
    return found


def _applies(requirement: Requirement, extra: str) -> bool:
    version = {"python_version": PYTHON, "python_full_version": f"{PYTHON}.0", "implementation_name": "cpython"}
    return requirement.marker is None or any(
        requirement.marker.evaluate(
            version | {"sys_platform": system, "platform_system": name, "platform_machine": machine, "extra": extra}
        )
        for system, name, machine in PLATFORMS
    )


def render(direct: Iterable[str], lock: dict[str, str], name: str | None = None) -> str:
    """Return the text of the conda environment that holds the packages `direct`; those of rules have no name."""
    names = sorted(closure(direct) - {"pip"})  # conda installs pip
    missing = [name for name in names if name not in lock]
    if missing:
        sys.exit(f"constraints.txt: no version of {', '.join(missing)}; install them and add the lines of `pip freeze`")
    environment: list[object] = [f"python={PYTHON}", "pip"]
    if names:
        environment.append({"pip": [f"{name}=={lock[name]}" for name in names]})
    content: dict[str, object] = {"name": name} if name else {}
    content |= {"channels": ["conda-forge", "nodefaults"], "dependencies": environment}
    return HEADER + yaml.safe_dump(content, sort_keys=False)


def generated() -> dict[str, str]:
    """Return the text of every environment, by rule."""
    lock = read_lock()
    return {rule: render(direct, lock) for rule, direct in read_rules().items()}


def generated_driver() -> str:
    """Return the text of the environment of Snakemake itself."""
    return render(read_driver(), read_lock(), "sparse-attention")


def main(folder: Path = ROOT / "envs") -> None:
    """Write all environments, and remove the environments of rules that no longer exist."""
    (folder.parent / "environment.yaml").write_text(generated_driver(), encoding="utf-8")
    texts = generated()
    for path in folder.glob("*.yaml"):
        if path.stem not in texts and path.name != "rules.yaml":
            path.unlink()
    for rule, text in texts.items():
        (folder / f"{rule}.yaml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
