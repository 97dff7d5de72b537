"""Figures are found by their source alone, with what the report and the driver must know of them."""

from __future__ import annotations

import pytest

from sparse_attention.errors import InputError
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


def test_figures_come_in_the_order_of_the_report(tmp_path):
    for name, section, order in (("a", "pruning", 1), ("b", "gold", 20), ("c", "gold", 10)):
        text = SOURCE.replace('"mine"', f'"{name}"').replace('"gold"', f'"{section}"')
        (tmp_path / f"{name}.py").write_text(text.replace("order = 15", f"order = {order}"))
    assert list(discover(tmp_path)) == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("line", "other", "message"),
    [
        ('    section = "gold"', '    section = "golden"', r"mine\.Mine\.section: 'golden'; allowed: corpus, models"),
        ('    title = "Mine"\n', "", r"mine\.Mine: the figure 'mine' lacks title"),
        ('    needs = ("gold_sparsity",)', "    needs = ()", r"the figure 'mine' lacks needs"),
        ("    order = 15", "    order = 10 + 5", r"mine\.py:10: Mine\.order must be a literal"),
    ],
    ids=["section", "no title", "no tables", "computed"],
)
def test_what_the_report_could_not_show_is_refused(line, other, message, tmp_path):
    (tmp_path / "mine.py").write_text(SOURCE.replace(line, other))
    with pytest.raises(InputError, match=message):
        discover(tmp_path)


def test_an_unknown_figure_is_refused():
    with pytest.raises(InputError, match=r"nothing: no such figure; allowed: training_curves, heatmap_gold"):
        create("nothing")


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
    digests = {name: code_digest("plot", [info.module]) for name, info in discover().items()}
    assert len(set(digests.values())) == len(digests)
