"""Write the graph of the default run's rules into docs/rules.md: python tools/draw_rules.py."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/rules.md"
BLOCK = re.compile(r"(?<=```mermaid\n).*?(?=```)", re.DOTALL)


def graph(folder: Path = ROOT) -> str:
    """Return the graph of the rules as Mermaid reads it: an arrow leads from a rule to one that reads its results."""
    command = [sys.executable, "-m", "snakemake", "--nolock", "--rulegraph", "mermaid-js"]
    drawn = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    names = dict(re.findall(r"^\s*(id\d+)\[(\w+)\]$", drawn, re.MULTILINE))
    arrows = {(names[start], names[end]) for start, end in re.findall(r"(id\d+) -+> (id\d+)", drawn)}
    # everything leads to the last rule
    kept = sorted((start, end) for start, end in arrows if end != "all")
    return "flowchart LR\n" + "".join(f"    {start} --> {end}\n" for start, end in kept)


if __name__ == "__main__":
    PAGE.write_text(BLOCK.sub(lambda _: graph(), PAGE.read_text(encoding="utf-8")), encoding="utf-8")
