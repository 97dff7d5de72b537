"""Figures and tables are found by what they declare, in the order of the report."""

from __future__ import annotations

import pytest

from sparse_attention.errors import InputError
from sparse_attention.jobs.published import chosen
from sparse_attention.plotting import registry as figures
from sparse_attention.summaries import registry as tables

SOURCE = """
class Mine:
    name = "mine"
    title = "Mine"
    caption = "Of mine."
    section = "gold"
    category = "The gold support"
    order = 15
    needs = ("gold_sparsity",)
"""
KINDS = pytest.mark.parametrize(("registry", "word"), [(figures, "figure"), (tables, "table")], ids=["figure", "table"])


@KINDS
def test_they_come_in_the_order_of_the_report(registry, word, tmp_path):
    for name, section, order in (("a", "pruning", 1), ("b", "gold", 20), ("c", "gold", 10)):
        text = SOURCE.replace('"mine"', f'"{name}"').replace('"gold"', f'"{section}"')
        (tmp_path / f"{name}.py").write_text(text.replace("order = 15", f"order = {order}"))
    assert list(registry.discover(tmp_path)) == ["c", "b", "a"]


@KINDS
@pytest.mark.parametrize(
    ("line", "other", "message"),
    [
        ('section = "gold"', 'section = "golden"', r"mine\.Mine\.section: 'golden'; allowed: corpus, models"),
        ('    title = "Mine"\n', "", r"mine\.Mine: the {word} 'mine' lacks title"),
        ('title = "Mine"', 'title = ""', r"mine\.Mine: the {word} 'mine' lacks title"),
        ("order = 15", "order = 10 + 5", r"mine\.py:8: Mine\.order must be a literal"),
    ],
    ids=["section", "no title", "empty title", "computed"],
)
def test_what_the_report_could_not_show_is_refused(registry, word, line, other, message, tmp_path):
    assert line in SOURCE
    (tmp_path / "mine.py").write_text(SOURCE.replace(line, other))
    with pytest.raises(InputError, match=message.format(word=word)):
        registry.discover(tmp_path)


def test_a_figure_without_tables_is_refused(tmp_path):
    (tmp_path / "mine.py").write_text(SOURCE.replace('("gold_sparsity",)', "()"))
    with pytest.raises(InputError, match="the figure 'mine' lacks needs"):
        figures.discover(tmp_path)


@KINDS
def test_an_unknown_name_is_refused(registry, word):
    first = next(iter(registry.discover()))
    with pytest.raises(InputError, match=rf"nothing: no such {word}; allowed: {first}, "):
        registry.create("nothing")


def test_a_known_name_is_found():
    assert chosen(tables.discover(), "corpus", "table").class_name == "Corpus"
