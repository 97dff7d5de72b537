"""A rule's digest changes with the code that its script runs, and with nothing else."""

import ast
import json
import os
import shutil
import sys

import grimp
import pytest

from sparse_attention.jobs.code_digest import SCRIPTS, WITHOUT_EFFECT, _cache, _module_file, _read, code_digest

RULES = sorted(path.stem for path in SCRIPTS.glob("*.py"))


@pytest.fixture
def scripts(tmp_path):
    package = tmp_path / "sparse_attention"
    (package / "parts").mkdir(parents=True)
    files = {
        "job.py": "from sparse_attention.parts import tool\n",
        "other.py": "import json\n",
        "sparse_attention/__init__.py": "",
        "sparse_attention/parts/__init__.py": "",
        "sparse_attention/parts/tool.py": "def run():\n    from sparse_attention import deep\n    return deep\n",
        "sparse_attention/deep.py": "VALUE = 1\n",
        "sparse_attention/plugin.py": (
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from sparse_attention import typed\n"
        ),
        "sparse_attention/typed.py": "VALUE = 1\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def edit(path, text):
    path.write_text(text)
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1_000_000))


def test_an_edit_deep_in_the_closure_counts(scripts):
    job, other = code_digest("job", scripts=scripts), code_digest("other", scripts=scripts)
    edit(scripts / "sparse_attention/deep.py", "VALUE = 2\n")
    assert code_digest("job", scripts=scripts) != job
    assert code_digest("other", scripts=scripts) == other


def test_sources_of_a_kernel_count_for_the_modules_beside_them(scripts):
    job, other = code_digest("job", scripts=scripts), code_digest("other", scripts=scripts)
    (scripts / "sparse_attention/parts/kernel.cpp").write_text("int one() { return 1; }\n")
    first = code_digest("job", scripts=scripts)
    (scripts / "sparse_attention/parts/kernel.h").write_text("// included\n")
    assert len({job, first, code_digest("job", scripts=scripts)}) == 3
    assert code_digest("other", scripts=scripts) == other


def forget():
    for function in (_read, _module_file, _cache):
        function.cache_clear()


@pytest.mark.parametrize(
    "content", [None, "{", "[]", '{"version": 0}'], ids=["as written", "damaged", "a list", "another version"]
)
def test_what_is_kept_of_earlier_starts_changes_no_digest(content, scripts):
    before, cache = code_digest("job", scripts=scripts), scripts / "__pycache__/code_digests.json"
    assert len(json.loads(cache.read_text())) > 4
    if content is not None:
        cache.write_text(content)
    forget()
    assert code_digest("job", scripts=scripts) == before
    edit(scripts / "sparse_attention/deep.py", "VALUE = 2\n")
    forget()
    assert code_digest("job", scripts=scripts) != before


def test_nothing_needs_to_be_kept(scripts):
    (scripts / "__pycache__").write_text("a file where the folder should be")
    assert len(code_digest("job", scripts=scripts)) == 16


def test_comments_docstrings_and_layout_do_not_count(scripts):
    before = code_digest("job", scripts=scripts)
    edit(scripts / "sparse_attention/deep.py", '"""What this is."""\n\n# why\nVALUE = (\n    1\n)\n')
    assert code_digest("job", scripts=scripts) == before


def test_plugins_count_only_where_they_are_named(scripts):
    plain, plugged = (
        code_digest("job", scripts=scripts),
        code_digest("job", "sparse_attention.plugin", scripts=scripts),
    )
    assert plain != plugged
    edit(scripts / "sparse_attention/typed.py", "VALUE = 2\n")
    assert code_digest("job", "sparse_attention.plugin", scripts=scripts) == plugged
    edit(scripts / "sparse_attention/plugin.py", "VALUE = 3\n")
    assert code_digest("job", scripts=scripts) == plain
    assert code_digest("job", "sparse_attention.plugin", scripts=scripts) != plugged


@pytest.fixture
def library(tmp_path):
    """A copy of the scripts and the library, to edit."""
    return shutil.copytree(SCRIPTS, tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))


def changed_by_an_edit(library, module):
    """The scripts whose digest an edit of a module changes."""
    before = {rule: code_digest(rule, scripts=library) for rule in RULES}
    path = library / f"{module.replace('.', '/')}.py"
    edit(path, path.read_text() + "\nADDED = 1\n")
    return {rule for rule in RULES if code_digest(rule, scripts=library) != before[rule]}


@pytest.mark.parametrize("module", WITHOUT_EFFECT)
def test_an_edit_of_a_module_without_effect_changes_no_digest(library, module):
    assert changed_by_an_edit(library, module) == set()


def imported_by(script):
    """All that a script imports by `from module import name`: each module, and each name, which may be a module too."""
    imports = [node for node in ast.walk(ast.parse(script.read_text())) if isinstance(node, ast.ImportFrom)]
    return {node.module for node in imports} | {f"{node.module}.{name.name}" for node in imports for name in node.names}


@pytest.mark.parametrize("module", ["attention.entmax", "files.tables", "pruning.packed"])
def test_an_edit_of_a_module_changes_the_digests_of_the_scripts_that_import_it(library, module):
    name = f"sparse_attention.{module}"
    graph = grimp.build_graph("sparse_attention", exclude_type_checking_imports=True, cache_dir=None)
    users = {name, *graph.find_downstream_modules(name)}
    expected = {rule for rule in RULES if imported_by(SCRIPTS / f"{rule}.py") & users}
    assert expected and expected < set(RULES)
    assert changed_by_an_edit(library, name) == expected


@pytest.mark.parametrize(
    ("plugin", "job"),
    [
        ("predictors.gate", "evaluate_predictor"),
        ("pruning.scores.mean", "prune_soft"),
        ("data.readers.mediawiki", "prepare"),
        ("data.code.readers.table", "prepare_code"),
    ],
    ids=["predictor", "score", "reader", "reader of code"],
)
def test_an_edit_of_a_plugin_changes_the_digests_of_the_jobs_that_name_it(library, plugin, job):
    name = f"sparse_attention.{plugin}"
    before = code_digest(job, name, scripts=library)
    assert changed_by_an_edit(library, name) == set()
    assert code_digest(job, name, scripts=library) != before


def imports(tree):
    """Every module that a file imports, wherever in it, with the names taken from it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level
            yield from ((node.module, alias.name) for alias in node.names)


def parsed(name):
    return ast.parse((SCRIPTS / f"{name.replace('.', '/')}.py").read_text())


@pytest.mark.parametrize("module", WITHOUT_EFFECT)
def test_modules_without_effect_import_only_each_other_and_the_standard_library(module):
    # the rooms that compute without other packages, such as files, are not to be listed either
    assert module == "sparse_attention.errors" or module.startswith("sparse_attention.jobs.")
    for name, _ in imports(parsed(module)):
        assert name in WITHOUT_EFFECT or name.split(".")[0] in sys.stdlib_module_names


def test_other_modules_import_only_listed_names_from_modules_without_effect():
    taken = {module: set() for module in WITHOUT_EFFECT}
    for path in [*SCRIPTS.glob("*.py"), *SCRIPTS.glob("sparse_attention/**/*.py")]:
        own = path.relative_to(SCRIPTS).with_suffix("").as_posix().replace("/", ".")
        for module, name in imports(ast.parse(path.read_text())):
            # a whole module would give away all that it holds
            assert f"{module}.{name}" not in WITHOUT_EFFECT and (name or module not in WITHOUT_EFFECT), path
            if module in WITHOUT_EFFECT and own not in WITHOUT_EFFECT:
                taken[module].add(name)
    assert {module: tuple(sorted(names)) for module, names in taken.items()} == WITHOUT_EFFECT


def test_no_job_survives_an_input_error():
    # these ask on behalf of the driver, or end the job
    asking = {"jobs/script.py", "data/registry.py"}
    library = SCRIPTS / "sparse_attention"
    found = 0
    for path in library.rglob("*.py"):
        name = path.relative_to(library).as_posix()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler) and node.type and "InputError" in ast.unparse(node.type):
                found += 1
                assert isinstance(node.body[-1], ast.Raise) or name in asking or name.startswith("settings/"), name
    assert found


@pytest.mark.parametrize("script", RULES)
def test_every_script_has_a_digest(script):
    assert len(code_digest(script)) == 16
