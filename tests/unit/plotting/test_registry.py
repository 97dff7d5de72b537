"""Figures are found by their source alone, with what the report and the driver must know of them."""

from __future__ import annotations

import pytest

from sparse_attention.jobs.code_digest import code_digest
from sparse_attention.plotting.base import Plot
from sparse_attention.plotting.registry import OPTIONAL, REQUIRED, SECTIONS, create, discover

SOURCE = """
import not_installed


class Mine(Plot):
    name = "mine"
    title = "Mine"
    section = "gold"
    category = "The gold support"
    order = 15
    needs = ("gold_sparsity",)
    caption = \"\"\"
    One sentence
    over two lines.
    \"\"\"
"""


def test_a_figure_is_read_without_importing_it(tmp_path):
    (tmp_path / "mine.py").write_text(SOURCE)
    info = discover(tmp_path)["mine"]
    assert (info.module, info.plugin.class_name, info.needs, info.order) == ("mine", "Mine", ("gold_sparsity",), 15)
    assert info.caption == "One sentence over two lines."
    assert (info.settings, info.may_be_empty, info.condition, info.subject) == ((), (), "", ("corpus", "model"))
    assert info.explored == ()


@pytest.mark.parametrize("name", discover())
def test_what_is_read_is_what_the_class_says(name):
    info, figure = discover()[name], create(name)
    assert isinstance(figure, Plot) and info.module.endswith(f".figures.{name}"), "a file of the figure's own name"
    assert info.section in SECTIONS and "{" not in info.caption and "*" not in info.caption
    for key in (*REQUIRED, *OPTIONAL):
        value = getattr(figure, key)
        assert getattr(info, key) == (" ".join(value.split()) if key == "caption" else value)
    assert set(info.may_be_empty) <= set(info.needs)


def test_a_digest_counts_the_figure_that_is_drawn_and_no_other():
    digests = {name: code_digest("plot", info.module) for name, info in discover().items()}
    assert len(set(digests.values())) == len(digests)
