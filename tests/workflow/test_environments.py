"""The lock, the requirements, the environments, the rules, the scripts and the README say the same."""

from __future__ import annotations

import functools
import importlib.metadata
import keyword
import re
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import imports
import make_envs

ROOT = Path(__file__).parents[2]
ENVS = yaml.safe_load((ROOT / "envs" / "rules.yaml").read_text(encoding="utf-8"))
RULES = make_envs.read_rules()
SCRIPTS = sorted((ROOT / "workflow" / "scripts").glob("*.py"))
TORCH_FREE = re.compile(r"summarise|plot|manifest|report|write_latex|check|retrieve|prepare|evaluate_text")
# the first rule of each different list of needs
FIRST = {tuple(needs): rule for rule, needs in reversed(RULES.items())}
RULE_START = re.compile(r"^ *rule (\w+):$|^ *rule:$", re.MULTILINE)


def rule_blocks():
    files = sorted((ROOT / "rules").glob("*.smk"))
    assert files
    pieces = RULE_START.split("".join(file.read_text(encoding="utf-8") for file in files))
    # rules that are made in a loop have no name in the text; they count under that of their script
    pairs = zip(pieces[1::2], pieces[2::2], strict=True)
    return {name or re.search(r"scripts/(\w+)\.py", body)[1]: body for name, body in pairs}


@functools.cache
def distribution_names():
    found = importlib.metadata.packages_distributions()
    return {module: {make_envs.canonicalize_name(name) for name in names} for module, names in found.items()}


def keywords(name):
    return set(name.split(".")) & set(keyword.kwlist)


generated = functools.cache(make_envs.generated)


def test_environments_are_what_make_envs_writes():
    written = {path.stem: path.read_text() for path in (ROOT / "envs").glob("*.yaml") if path.name != "rules.yaml"}
    assert written == generated(), "run `make envs`"


def test_the_environment_of_the_driver_is_what_make_envs_writes():
    assert (ROOT / "environment.yaml").read_text() == make_envs.generated_driver(), "run `make envs`"


def test_the_driver_has_what_the_rules_import_and_no_more(tmp_path):
    files = [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")]
    texts = [re.sub(r'"[^"]*"', "", path.read_text(encoding="utf-8")) for path in files]
    found = [line for text in texts for line in re.findall(r"^ *((?:from|import) .+)$", text, re.MULTILINE)]
    # an import inside a function counts where the rules name the function
    named = {name for text in texts for name in re.findall(r"\b[a-zA-Z_]+(?:\.[a-zA-Z_]+)*", text)}
    script = tmp_path / "rules.py"
    script.write_text("\n".join([*found, *(name for name in sorted(named) if not keywords(name))]))
    needed = {make_envs.canonicalize_name(name) for module in imports.third_party(script, ROOT / "workflow/scripts")
              for name in distribution_names()[module]}  # fmt: skip
    assert set(make_envs.read_driver()) == needed


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-dev.txt"])
def test_lock_holds_all_that_the_requirements_bring(file):
    assert make_envs.closure(make_envs.read_requirements(ROOT / file)) <= set(make_envs.read_lock())


def test_lock_holds_nothing_else():
    names = [name for file in ("requirements.txt", "requirements-dev.txt") for name in
             make_envs.read_requirements(ROOT / file)]  # fmt: skip
    assert set(make_envs.read_lock()) == make_envs.closure(names)


def test_lock_is_installable_everywhere():
    for name, version in make_envs.read_lock().items():
        assert "+" not in version, f"{name}=={version} is the build of one machine"


def test_what_is_installed_is_what_the_lock_says():
    lock = make_envs.read_lock()
    installed = {make_envs.canonicalize_name(item.metadata["Name"]): item.version.split("+")[0]
                 for item in importlib.metadata.distributions()}  # fmt: skip
    # not every platform has every package
    assert {name: version for name, version in installed.items() if name in lock and version != lock[name]} == {}


def test_rules_need_only_requirements():
    requirements = set(make_envs.read_requirements(ROOT / "requirements.txt"))
    assert {name for needs in RULES.values() for name in needs} <= requirements
    assert {make_envs.canonicalize_name(name) for name in ENVS["unseen"]} <= requirements


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_environment_has_what_the_script_imports(script):
    distributions = distribution_names()
    own = {name for name in imports.third_party(script) if not name.startswith(make_envs.BROUGHT_BY_TORCH)}
    missing = {name for name in own if not distributions[name] & set(RULES[script.stem])}
    assert not missing, f"envs/rules.yaml: rules.{script.stem} lacks what {missing} come from"


@pytest.mark.parametrize("needs", FIRST, ids=FIRST.values())
def test_environment_has_nothing_that_no_script_imports(needs):
    scripts = [script for script in SCRIPTS if RULES[script.stem] == list(needs)]
    assert len(scripts) == sum(list(needs) == other for other in RULES.values())
    distributions = distribution_names()
    used = {name for script in scripts for module in imports.third_party(script) for name in distributions[module]}
    unseen = {make_envs.canonicalize_name(name) for name in ENVS["unseen"]}
    assert set(needs) <= used | unseen


@pytest.mark.parametrize("rule", sorted(filter(TORCH_FREE.match, RULES)))
def test_light_rules_have_no_torch(rule):
    assert "torch" not in make_envs.closure(RULES[rule])


def test_there_is_one_environment_for_data_one_for_models_and_one_for_results():
    contents = generated()
    with_torch = {contents[rule] for rule, needs in RULES.items() if "torch" in make_envs.closure(needs)}
    assert (len(with_torch), len(set(contents.values()))) == (1, 3)


def test_equal_needs_give_equal_files():
    needs = set(map(frozenset, RULES.values()))
    assert len(set(generated().values())) == len({frozenset(make_envs.closure(names)) for names in needs})


def test_every_rule_has_its_environment_and_the_other_way_round():
    with_script = {name: body for name, body in rule_blocks().items() if re.search(r"^\s+script:", body, re.MULTILINE)}
    assert set(with_script) == set(RULES)
    for name, body in with_script.items():
        assert re.findall(r"envs/(\w+)\.yaml", body) == [name], f"rule {name} must name envs/{name}.yaml"
        assert re.findall(r"scripts/(\w+)\.py", body) == [name], f"rule {name} must run scripts/{name}.py"


def test_readme_and_project_name_the_python_of_the_environments():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"Python (3\.\d+)", readme)) == {make_envs.PYTHON}
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'requires-python = ">={make_envs.PYTHON}"' in project


def test_closure_follows_extras_and_skips_other_platforms(monkeypatch):
    needs = {
        "top": ["middle[fast]", "windows-only; sys_platform == 'win32'", "mac-only; sys_platform == 'darwin'",
                "nvidia-cublas==13"],
        "middle": ["quick; extra == 'fast'", "slow; extra == 'tests'"],
    }  # fmt: skip
    monkeypatch.setattr(make_envs.importlib.metadata, "requires", lambda name: needs.get(name, []))
    assert make_envs.closure(["top"]) == {"top", "middle", "quick", "mac-only"}


def test_package_without_version_in_the_lock_is_refused():
    assert Requirement("numpy").name in make_envs.render(["numpy"], {"numpy": "1"})
    with pytest.raises(SystemExit, match="no version of numpy"):
        make_envs.render(["numpy"], {})


def test_imports_inside_functions_count_when_the_function_is_named(tmp_path):
    library = tmp_path / "sparse_attention"
    library.mkdir()
    (library / "__init__.py").write_text("")
    (library / "tools.py").write_text(
        "import os\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import never\n"
        "def light():\n    import small\ndef heavy():\n    import big\n"
    )
    (library / "registry.py").write_text(
        "import importlib\ndef create(name):\n    return importlib.import_module(name)\n"
    )
    (library / "plugin.py").write_text("import extra\n")
    script = tmp_path / "script.py"
    script.write_text("from sparse_attention.tools import light\nimport sparse_attention.registry\n")
    assert imports.third_party(script, tmp_path) == {"small"}
    imports.third_party.cache_clear()
    script.write_text(
        "from sparse_attention import tools\nfrom sparse_attention.registry import create\ntools.heavy()\n"
    )
    assert imports.third_party(script, tmp_path) == {"big", "extra"}


def test_functions_of_one_name_in_two_modules_are_told_apart(tmp_path):
    library = tmp_path / "sparse_attention"
    library.mkdir()
    (library / "__init__.py").write_text("from sparse_attention.light import create\n")
    (library / "light.py").write_text("def create():\n    import small\n")
    (library / "heavy.py").write_text(
        "def create():\n    import big\nclass Model:\n    def load(self):\n        import huge\n"
    )
    script = tmp_path / "script.py"
    for text, found in (
        ("from sparse_attention import light, heavy\nlight.create()\n", {"small"}),
        ("import sparse_attention.light\nfrom sparse_attention.heavy import create as make\n", {"small", "big"}),
        ("from sparse_attention import heavy\nfor heavy in things:\n    heavy.create()\n", {"small", "big"}),
        ("from sparse_attention import heavy as h\nh.create()\nh.Model().load()\n", {"small", "big", "huge"}),
    ):
        imports.third_party.cache_clear()
        script.write_text(text)
        assert imports.third_party(script, tmp_path) == found, text
