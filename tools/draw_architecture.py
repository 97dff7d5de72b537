"""Draw docs/images/architecture.svg: the layers of the library, and the packages that the scripts of three walks use.

The layers are read from the contracts of import-linter in pyproject.toml, the purpose of a package from its docstring,
and the dots from the imports in the code.

Usage: python tools/draw_architecture.py
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import grimp
from matplotlib.figure import Figure

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "workflow" / "scripts"
PICTURE = ROOT / "docs" / "images" / "architecture.svg"
PACKAGE = "sparse_attention"
sys.path.insert(0, str(SCRIPTS))
from sparse_attention.plotting import style  # noqa: E402

WALKS = {
    "a query tensor": ("extract_qk", "gold_support", "evaluate_predictor", "summarise_predictors"),
    "a function of code": ("prepare_code", "tokenise_code", "prune_soft", "prune_hard", "export_pruned"),
    "a metric": ("evaluate_predictor", "summarise_predictors", "plot", "report"),
}
"""The subject of each walk in docs/architecture.md, and the scripts that it goes through."""
COLOURS = ("#0072B2", "#009E73", "#D55E00")
"""Colour of each walk."""


def layers() -> list[list[str]]:
    """Return the packages of each layer, top layer first; packages of one layer do not import each other."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = next(contract["layers"] for contract in settings["contracts"] if contract["type"] == "layers")
    return [[package.strip() for package in layer.split(":")] for layer in layers]


def purpose(package: str) -> str:
    """Return the purpose of a package: its docstring up to the first colon, semicolon or full stop."""
    base = SCRIPTS / PACKAGE / package
    path = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return re.split(r"[.:;](?:\s|$)", text, maxsplit=1)[0].replace("\n", " ")


def packages_of(script: str, graph: grimp.ImportGraph) -> tuple[set[str], set[str]]:
    """Return the packages that a script imports itself, and those that it reaches through these."""
    tree = ast.parse((SCRIPTS / f"{script}.py").read_text(encoding="utf-8"))
    named: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(PACKAGE):
            named |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    own = named & graph.modules
    reached = set().union(*(graph.find_upstream_modules(module) for module in own))
    return tuple({name.split(".")[1] for name in names if "." in name} for names in (own, reached))  # type: ignore[return-value]


def draw() -> Figure:
    """Return the picture, with a row for each package and a column for each script of a walk."""
    graph = grimp.build_graph(PACKAGE, cache_dir=None, exclude_type_checking_imports=True)
    packages = [package for layer in layers() for package in layer]
    columns = [(walk, script) for walk, scripts in enumerate(WALKS.values()) for script in scripts]
    left = [place + 0.8 * walk for place, (walk, _) in enumerate(columns)]
    figure = Figure(figsize=(11, 7.2), layout="constrained")
    axes = figure.subplots()
    for row, package in enumerate(packages):
        axes.axhspan(row - 0.5, row + 0.5, color="#f3f4f6" if row % 2 else "white", zorder=0)
        axes.text(-15.3, row, package, weight="bold", va="center")
        axes.text(-12.6, row, purpose(package), va="center", color=style.MUTED)
    for place, (walk, script) in zip(left, columns, strict=True):
        own, reached = packages_of(script, graph)
        used = [row for row, package in enumerate(packages) if package in own | reached]
        axes.plot([place, place], [-0.5, max(used)], color=COLOURS[walk], linewidth=1, alpha=0.5, zorder=1)
        for row in used:
            filled = COLOURS[walk] if packages[row] in own else "white"
            axes.plot(place, row, "o", markersize=6, color=COLOURS[walk], markerfacecolor=filled, zorder=2)
        axes.text(place, -0.9, f"{script}.py", rotation=55, ha="left", va="bottom", color=COLOURS[walk], size=7.5)
    for walk, name in enumerate(WALKS):
        own_places = [place for place, (number, _) in zip(left, columns, strict=True) if number == walk]
        axes.text(own_places[0] - 0.3, len(packages) + 0.1, name, color=COLOURS[walk], weight="bold", va="center")
    axes.text(-15.3, len(packages) + 0.1, "● imported by the script    ○ reached through these", va="center", size=7.5)
    axes.set(xlim=(-15.5, left[-1] + 3.2), ylim=(len(packages) + 0.7, -5))
    axes.axis("off")
    return figure


def main() -> None:
    """Write the picture to docs/images/."""
    with style.house_style():
        style.save(draw(), [str(PICTURE)])


if __name__ == "__main__":
    main()
