"""Readers of text and of code are found by their source."""

from __future__ import annotations

import subprocess
import sys

import jsonschema
import pytest

from sparse_attention.data.code.readers import registry as code_readers
from sparse_attention.data.code.readers.base import CodeReader
from sparse_attention.data.reader import find_readers
from sparse_attention.data.readers import registry as text_readers
from sparse_attention.data.readers.base import TextReader
from sparse_attention.errors import InputError
from sparse_attention.jobs.code_digest import SCRIPTS
from sparse_attention.jobs.plugins import Plugin
from sparse_attention.settings import config as settings

KINDS = [(text_readers, TextReader, name) for name in text_readers.discover()]
KINDS += [(code_readers, CodeReader, name) for name in code_readers.discover()]


def test_there_is_one_reader_for_each_format():
    assert list(text_readers.discover()) == ["datasets", "mediawiki", "text", "wheels", "wikitext"]
    assert list(code_readers.discover()) == ["bandit", "debian", "table"]


@pytest.mark.parametrize(("registry", "base", "name"), KINDS, ids=[name for *_, name in KINDS])
def test_the_declarations_that_are_read_are_those_of_the_class(registry, base, name):
    plugin, reader = registry.discover()[name], registry.create(name, {"path": "files", "format": name})
    assert isinstance(reader, base) and reader.name == name
    assert plugin.declared.get("options", {}) == reader.options
    assert reader.suffixes and all(suffix == suffix.lower() and suffix[0] == "." for suffix in reader.suffixes)
    for schema in reader.options.values():
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(("registry", "base", "name"), KINDS, ids=[name for *_, name in KINDS])
def test_a_reader_has_the_options_that_its_entry_gives(registry, base, name):
    options = {option: object() for option in registry.discover()[name].declared.get("options", {})}
    reader = registry.create(name, {"path": "files", "format": name, **options})
    assert {option: getattr(reader, option) for option in options} == options


def test_an_option_without_an_attribute_is_refused(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "undecorated.py").write_text(
        "from sparse_attention.data.readers.base import TextReader\n\n\n"
        "class Undecorated(TextReader):\n"
        "    name = 'undecorated'\n"
        "    options = {'separator': {'type': 'string'}}\n"
        "    separator: str = '%'\n"
    )
    with pytest.raises(InputError, match="^undecorated: Undecorated has no attribute for the option separator; "):
        find_readers(tmp_path)["undecorated"].load().of({})


def test_readers_are_found_without_the_packages_that_they_need():
    names = "numpy", "pandas", "pyarrow", "tree_sitter", "mwparserfromhell", "torch"
    code = f"import sys; sys.modules.update(dict.fromkeys({names}))\n"
    for room in ("data", "data.code"):
        code += f"from sparse_attention.{room}.readers.registry import discover; discover()\n"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=SCRIPTS)


@pytest.mark.parametrize(
    ("selection", "name", "module"),
    [("corpus", "text", "data.readers.text"), ("code", "table", "data.code.readers.table")],
    ids=["text", "code"],
)
def test_a_job_counts_the_module_of_the_reader_that_it_uses(selection, name, module):
    section = {"corpus": "corpora", "code": "code_corpora"}[selection]
    config = {selection: "mine", section: {"mine": {"path": "x", "format": name, "text_column": "y"}}}
    assert settings.reader_module(config, selection) == f"sparse_attention.{module}"
    assert settings.own_settings(config, selection) == {"format": name, "text_column": "y"}


def test_one_option_has_one_meaning():
    kinds = ({"type": "string"}, {"type": "integer"})
    readers = {str(n): Plugin(f"m{n}", "C", (), {"name": str(n), "options": {"x": kinds[n]}}) for n in (0, 1)}
    with pytest.raises(InputError, match="m1: the option x exists already with another schema"):
        settings._with_options({}, readers)
    with pytest.raises(InputError, match="m0: the option x exists already"):
        settings._with_options({"x": {"minLength": 1}}, readers)
    assert settings._with_options({"path": {}}, {"0": readers["0"]}) == {"path": {}, "x": kinds[0]}
