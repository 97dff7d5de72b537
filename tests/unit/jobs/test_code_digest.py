"""A rule's digest changes with the code that its script runs, and with nothing else."""

import pytest

from sparse_attention.jobs.code_digest import SCRIPTS, code_digest


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
    import os

    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1_000_000))


def test_an_edit_deep_in_the_closure_counts(scripts):
    job, other = code_digest("job", scripts=scripts), code_digest("other", scripts=scripts)
    edit(scripts / "sparse_attention/deep.py", "VALUE = 2\n")
    assert code_digest("job", scripts=scripts) != job
    assert code_digest("other", scripts=scripts) == other


def test_comments_docstrings_and_layout_do_not_count(scripts):
    before = code_digest("job", scripts=scripts)
    edit(scripts / "sparse_attention/deep.py", '"""What this is."""\n\n# why\nVALUE = (\n    1\n)\n')
    assert code_digest("job", scripts=scripts) == before


def test_plugins_count_only_where_they_are_named(scripts):
    plain, plugged = (
        code_digest("job", scripts=scripts),
        code_digest("job", ["sparse_attention.plugin"], scripts=scripts),
    )
    assert plain != plugged
    edit(scripts / "sparse_attention/typed.py", "VALUE = 2\n")
    assert code_digest("job", ["sparse_attention.plugin"], scripts=scripts) == plugged
    edit(scripts / "sparse_attention/plugin.py", "VALUE = 3\n")
    assert code_digest("job", scripts=scripts) == plain
    assert code_digest("job", ["sparse_attention.plugin"], scripts=scripts) != plugged


@pytest.mark.parametrize("script", sorted(path.stem for path in SCRIPTS.glob("*.py")))
def test_every_script_has_a_digest(script):
    assert len(code_digest(script)) == 16
