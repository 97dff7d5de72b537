"""docs/rules.md shows the rules of the default run as they are, with a line on each rule."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

import draw_rules
import layered_layout
from sparse_attention.plotting import style

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/rules.md").read_text(encoding="utf-8")


def test_the_graph_is_that_of_snakemake(checkout):
    (block,) = draw_rules.BLOCK.findall(TEXT)
    assert block == draw_rules.graph(checkout.folder)
    assert "retrieve --> prepare" in block and "plot --> report" in block


def test_the_picture_is_that_of_the_graph(tmp_path):
    with style.house_style():
        style.save(draw_rules.draw(TEXT), [str(tmp_path / "rules.svg")])
    assert (tmp_path / "rules.svg").read_bytes() == draw_rules.PICTURE.read_bytes(), "run make architecture"
    assert "](images/rules.svg)" in TEXT


def test_the_graph_as_text_is_folded():
    before = TEXT[: TEXT.index("```mermaid")]
    assert before.count("<details>") == before.count("</details>") + 1


def test_arrows_lead_down_and_rules_have_room():
    arrows = layered_layout.without_implied(re.findall(r"(\w+) --> (\w+)", TEXT))
    places, ways = layered_layout.layout(arrows, draw_rules.WIDTH, draw_rules.GAP)
    assert set(places) == {name for arrow in arrows for name in arrow}
    for (start, end), way in ways.items():
        assert (way[0], way[-1]) == (places[start], places[end])
        assert [y for _, y in way] == list(range(int(places[start][1]), int(places[end][1]) + 1)) and len(way) > 1
    passing = {(round(x, 9), y): draw_rules.GAP for way in ways.values() for x, y in way[1:-1]}
    rows: dict[float, list[tuple[float, float]]] = {}
    for (x, y), room in (passing | {(round(x, 9), y): draw_rules.WIDTH for x, y in places.values()}).items():
        rows.setdefault(y, []).append((x, room))
    for row in map(sorted, rows.values()):
        for (left, room), (right, other) in itertools.pairwise(row):
            assert right - left >= (room + other) / 2 - 1e-6


@pytest.mark.parametrize(
    ("arrows", "left"),
    [
        (["ab", "bc", "ac"], ["ab", "bc"]),
        (["ab", "bc", "cd", "ad", "bd"], ["ab", "bc", "cd"]),
        (["ab", "ac", "bd", "cd"], ["ab", "ac", "bd", "cd"]),
    ],
    ids=["triangle", "chain", "diamond"],
)
def test_arrows_that_follow_from_others_are_left_out(arrows, left):
    assert layered_layout.without_implied([tuple(arrow) for arrow in arrows]) == [tuple(arrow) for arrow in left]


def test_crossings_are_undone():
    arrows = [("a", "z"), ("b", "y"), ("c", "x")]
    places, _ = layered_layout.layout(arrows, 1.0, 0.2)
    order = [sorted(names, key=lambda name: places[name][0]) for names in ("abc", "xyz")]
    assert layered_layout.crossings(order, arrows) == 0 and layered_layout.crossings(["abc", "xyz"], arrows) == 3


def test_every_rule_is_described_and_no_other():
    scripts = {path.stem for path in (ROOT / "workflow/scripts").glob("*.py")} - {"restore"}
    cells = [line.split("|")[1] for line in TEXT.splitlines() if line.startswith("| `")]
    described = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    assert described | {"import_qk", "import_projections", "import_clusters"} == scripts
