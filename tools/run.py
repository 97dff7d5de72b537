"""Start Snakemake after checking that it can read the configuration.

Usage: python tools/run.py --cores all [any other arguments of snakemake]
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "scripts"))
from sparse_attention.jobs import caches
from sparse_attention.settings import command_line

SNAKEMAKE = [sys.executable, "-m", "snakemake"]


def main(arguments: list[str]) -> int:
    """Check the configuration, then replace this process by Snakemake; return 1 if the check fails."""
    problems = command_line.problems_of(arguments)
    if problems:
        print("\n  ".join(["the configuration cannot be read:", *problems]), file=sys.stderr)
        return 1
    caches.provide()
    # Snakemake takes over this process, so that it receives Ctrl-C
    os.execv(sys.executable, [*SNAKEMAKE, *arguments])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
