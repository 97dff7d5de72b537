"""Tables are found by parsing their source, with what the rules and the report need to know of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sparse_attention.errors import InputError
from sparse_attention.jobs.code_digest import code_digest
from sparse_attention.settings.results import KINDS
from sparse_attention.summaries.base import Inputs, Table
from sparse_attention.summaries.registry import OPTIONAL, REQUIRED, SECTIONS, create, discover

ROOT = Path(__file__).parents[3]
SOURCE = """
import not_installed


class Mine(Table):
    name = "mine"
    title = "Mine"
    section = "gold"
    category = "The gold support"
    order = 15
    needs = ("gold",)
    caption = \"\"\"
    One sentence
    over two lines.
    \"\"\"
"""


def test_a_table_is_read_without_importing_it(tmp_path):
    (tmp_path / "mine.py").write_text(SOURCE)
    info = discover(tmp_path)["mine"]
    assert (info.module, info.plugin.class_name, info.needs, info.order) == ("mine", "Mine", ("gold",), 15)
    assert info.caption == "One sentence over two lines."
    assert (info.tables, info.settings, info.large, info.left_out, info.folded) == ((), (), False, (), "")
    assert (info.latex, info.made_by, info.path) == (False, "summarise", "results/tables/mine.tsv")


def test_times_are_in_a_folder_of_their_own(tmp_path):
    (tmp_path / "mine.py").write_text(SOURCE + "    timed = True\n")
    assert discover(tmp_path)["mine"].path == "results/timings/mine.tsv"


def test_a_table_made_from_nothing_is_refused(tmp_path):
    (tmp_path / "mine.py").write_text(SOURCE.replace('    needs = ("gold",)', "    needs = ()"))
    with pytest.raises(InputError, match=r"the table 'mine' is made from nothing; allowed: needs, tables or both"):
        discover(tmp_path)


@pytest.mark.parametrize("name", discover())
def test_literals_equal_the_attributes_of_the_class(name):
    info, table = discover()[name], create(name)
    assert isinstance(table, Table) and info.module.endswith(f".tables.{name}"), "a file of the table's own name"
    for key in (*REQUIRED, *OPTIONAL):
        value = getattr(table, key)
        assert getattr(info, key) == (" ".join(value.split()) if key == "caption" else value)
    assert set(info.needs) <= KINDS and set(info.tables) <= set(discover())
    assert (info.made_by == "summarise") == ("make" in vars(type(table)))


def test_a_table_of_a_rule_of_its_own_cannot_be_made_alone():
    with pytest.raises(NotImplementedError, match="areas is made by summarise_uncertainty"):
        create("areas").make(Inputs({}, {}), {})


def test_the_page_has_a_place_for_every_section():
    template = (ROOT / "workflow/report/report.html.j2").read_text(encoding="utf-8")
    assert re.findall(r"tables_of\('(\w+)'\)", template) == list(SECTIONS)


def test_a_digest_counts_the_table_that_is_made_and_no_other():
    made = {name: info.module for name, info in discover().items() if info.made_by == "summarise"}
    digests = {code_digest("summarise", module) for module in made.values()}
    assert len(digests) == len(made)
