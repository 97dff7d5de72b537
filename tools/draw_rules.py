"""Write the graph of the default run's rules into docs/rules.md, and draw it: python tools/draw_rules.py."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch
from matplotlib.path import Path as Curve

from layered_layout import Point, layout, without_implied

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/rules.md"
PICTURE = ROOT / "docs/images/rules.svg"
BLOCK = re.compile(r"(?<=```mermaid\n).*?(?=```)", re.DOTALL)
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))
from sparse_attention.plotting import style  # noqa: E402

FILLS = ("#d7e8f5", "#d5efe4", "#f9e3ee", "#fdebc8", "#e6e8eb")
"""Colours of the sections of the page, in their order."""
BOX = (0.88, 0.34)
"""Width and height of a rule in inches."""
WIDTH, GAP, ROW = 0.96, 0.2, 0.6
"""Distances in inches: of two rules in a row, of an arrow that passes a row from its neighbours there, of two rows."""


def graph(folder: Path = ROOT) -> str:
    """Return the graph of the rules as Mermaid reads it: an arrow leads from a rule to one that reads its results."""
    command = [sys.executable, "-m", "snakemake", "--nolock", "--rulegraph", "mermaid-js"]
    drawn = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    names = dict(re.findall(r"^\s*(id\d+)\[(\w+)\]$", drawn, re.MULTILINE))
    arrows = {(names[start], names[end]) for start, end in re.findall(r"(id\d+) -+> (id\d+)", drawn)}
    # everything leads to the last rule
    kept = sorted((start, end) for start, end in arrows if end != "all")
    return "flowchart LR\n" + "".join(f"    {start} --> {end}\n" for start, end in kept)


def sections(page: str) -> dict[str, list[str]]:
    """Return the rules of each section of the page, in its order, by the section's title."""
    parts = re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    return {title: re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) for title, text in parts}


def draw(page: str) -> Figure:
    """Return the picture of the page's graph, coloured by section and without arrows that follow from others."""
    arrows = without_implied(re.findall(r"(\w+) --> (\w+)", page))
    places, ways = layout(arrows, WIDTH, GAP)
    left, right = (end(x for way in ways.values() for x, _ in way) for end in (min, max))
    rows = max(y for _, y in places.values())
    width, height = right - left + 1.3 * BOX[0], rows * ROW + 1.1
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(left - 0.65 * BOX[0], right + 0.65 * BOX[0]), ylim=(rows * ROW + 0.7, -0.4))
    axes.axis("off")
    for way in ways.values():
        _draw_arrow(axes, [(x, y * ROW) for x, y in way])
    groups = sections(page)
    fills = {name: fill for names, fill in zip(groups.values(), FILLS, strict=True) for name in names}
    for name, (x, y) in places.items():
        _draw_rule(axes, name, (x, y * ROW), fills[name])
    handles = [Patch(facecolor=fill, edgecolor=style.MUTED, linewidth=0.6) for fill in FILLS]
    axes.legend(handles, list(groups), loc="lower left", fontsize=8)
    return figure


def _draw_rule(axes: Axes, name: str, place: Point, fill: str) -> None:
    """Draw a rule as a box; a long name is written in two lines."""
    (x, y), (width, height) = place, BOX
    corner = x - width / 2, y - height / 2
    look = {"boxstyle": "round,pad=0,rounding_size=0.06", "facecolor": fill, "edgecolor": style.MUTED, "linewidth": 0.6}
    axes.add_patch(FancyBboxPatch(corner, width, height, zorder=3, **look))
    head, _, tail = name.partition("_")
    text = f"{head}_\n{tail}" if len(name) > 13 else name
    axes.text(x, y, text, ha="center", va="center", size=7.2, linespacing=1.05, zorder=4)


def _draw_arrow(axes: Axes, points: list[Point]) -> None:
    """Draw an arrow that leaves and enters boxes, and passes through the rows between, straight down."""
    half, bend = BOX[1] / 2, 0.6 * (ROW - BOX[1])
    first, *between, last = points
    ends = [first, *between], [*between, last]
    corners, codes = [(first[0], first[1] + half)], [Curve.MOVETO]
    for (x, y), (next_x, next_y) in zip(*ends, strict=True):
        top, bottom = y + half, next_y - half - 0.02
        corners += [(x, top), (x, top + bend), (next_x, bottom - bend), (next_x, bottom)]
        codes += [Curve.LINETO, *[Curve.CURVE4] * 3]
    line = {"color": style.MUTED, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0}
    axes.add_patch(FancyArrowPatch(path=Curve(corners, codes), arrowstyle="-|>", mutation_scale=7, zorder=2, **line))


def main() -> None:
    """Write the graph into the page, and the picture of it."""
    page = BLOCK.sub(lambda _: graph(), PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(page, encoding="utf-8")
    with style.house_style():
        style.save(draw(page), [str(PICTURE)])


if __name__ == "__main__":
    main()
