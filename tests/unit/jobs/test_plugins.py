"""Plug-ins are found by their source alone."""

from __future__ import annotations

import pytest

from sparse_attention.errors import InputError
from sparse_attention.jobs.plugins import LIBRARY, find_plugins

SOURCE = (
    "import not_installed\nclass Mine(Base):\n    name = 'mine'\n    needs: tuple = ('tables',)\n    other = [1 + 1]\n"
)


def test_attributes_are_read_without_importing_the_class(tmp_path):
    (tmp_path / "mine.py").write_text(SOURCE + "class Helper:\n    needs = ()\n")
    (tmp_path / "base.py").write_text("class Base:\n    name = 'base'\n")
    found = find_plugins(tmp_path, ["needs"], without=["base"])
    assert list(found) == ["mine"]
    plugin = found["mine"]
    assert (plugin.module, plugin.class_name, plugin.bases) == ("mine", "Mine", ("Base",))
    assert plugin.declared == {"name": "mine", "needs": ("tables",)}


def test_missing_attributes_come_from_the_base_class(tmp_path):
    base = "class Base:\n    name = 'base'\n    needs, fits = ('tables',), False\n    group = 'far'\n"
    (tmp_path / "base.py").write_text(base)
    near = "class Near(Base):\n    group = 'near'\n\nclass Mine(Near):\n    name = 'mine'\n    fits: bool = True\n"
    (tmp_path / "mine.py").write_text("from base import Base\n\n" + near)
    (tmp_path / "other.py").write_text("import base\n\nclass Other(base.Base):\n    name = 'other'\n")
    found = find_plugins(tmp_path, ["needs", "fits", "group"], without=["base"])
    assert found["mine"].declared == {"name": "mine", "needs": ("tables",), "fits": True, "group": "near"}
    assert found["other"].declared == {"name": "other", "needs": ("tables",), "fits": False, "group": "far"}


def test_a_constant_of_the_module_is_a_literal(tmp_path):
    constants = "SIZES = {'small': 1}\nNAME = 'mine'\n"
    body = "class Mine:\n    name = NAME\n    needs = {'sizes': SIZES, 'other': 2}\n"
    (tmp_path / "mine.py").write_text(constants + body)
    assert find_plugins(tmp_path, ["needs"])["mine"].declared == {
        "name": "mine",
        "needs": {"sizes": {"small": 1}, "other": 2},
    }


def test_an_edited_file_is_read_again(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    assert list(find_plugins(tmp_path, [])) == ["mine"]
    path.write_text(SOURCE.replace("'mine'", "'renamed'"))
    assert list(find_plugins(tmp_path, [])) == ["renamed"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("class Mine(\n", r"mine\.py:1: not valid Python"),
        (SOURCE.replace("('tables',)", "tuple('a')"), r"mine\.py:4: Mine\.needs must be a literal"),
        ("NEEDS = tuple('a')\n" + SOURCE.replace("('tables',)", "NEEDS"), r"mine\.py:1: Mine\.needs must be a literal"),
        (SOURCE.replace("('tables',)", "IMPORTED"), r"mine\.py:4: Mine\.needs must be a literal"),
        (SOURCE + SOURCE.replace("Mine", "Other"), r"mine\.py: the name 'mine' is already that of a class in mine\.py"),
    ],
    ids=["syntax", "computed", "computed constant", "unknown name", "twice"],
)
def test_an_unreadable_plugin_is_reported_with_its_place(source, message, tmp_path):
    (tmp_path / "mine.py").write_text(source)
    with pytest.raises(InputError, match=message):
        find_plugins(tmp_path, ["needs"])


def test_a_plugin_of_the_library_is_loaded():
    assert find_plugins(LIBRARY / "predictors", [], ["base", "registry"])["window"].load().name == "window"
