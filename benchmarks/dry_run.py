"""Measure how long `snakemake --dry-run` plans the largest runs, and its memory, against the limits of this project.

Usage: python benchmarks/dry_run.py [--json dry_run.json]

Each dry run starts in a process of its own, in the folder of the workflow: config/study.yaml, and config/paper.yaml
with five seeds. Wall time depends on what else the machine does, CPU time hardly. Nothing is written to results/;
results that exist there shorten the plan, and `results` in the output says whether there are any. Ends with exit code 1
when a limit is exceeded.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import snakemake

ROOT = Path(__file__).resolve().parents[1]
SECONDS, GIGABYTES = 20.0, 1.0
RUNS = {
    "study": ("--configfile", "config/study.yaml"),
    "paper, 5 seeds": ("--configfile", "config/paper.yaml", "--config", "seeds=[1, 2, 3, 4, 5]"),
}


def measure(arguments: tuple[str, ...]) -> dict[str, Any]:
    """Return jobs, wall and CPU seconds and peak memory of one dry run; raise `SystemExit` when it fails."""
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "rules", *arguments]
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    jobs = re.search(r"^total\s+(\d+)$", output, flags=re.MULTILINE)
    if status or not jobs:
        raise SystemExit(f"{' '.join(command)} failed:\n{output[-2000:]}")
    # macOS counts bytes, Linux kibibytes
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "jobs": int(jobs[1]),
        "wall_s": round(seconds, 1),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 1),
        "memory_gb": round(usage.ru_maxrss * unit / 1e9, 2),
    }


def main() -> None:
    """Print a row for each run, and whether the limits hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the rows and their conditions to this file")
    options = parser.parse_args()
    conditions = {
        "snakemake": snakemake.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "results": (ROOT / "results" / "tables").exists(),
    }
    print(", ".join(f"{name} {value}" for name, value in conditions.items()))
    limits = f"below {SECONDS:g} s and {GIGABYTES:g} GB"
    print(f"{'run':16s} {'jobs':>6s} {'wall s':>7s} {'CPU s':>6s} {'memory GB':>10s} {limits}")
    rows = []
    for name, arguments in RUNS.items():
        row = measure(arguments)
        holds = row["wall_s"] < SECONDS and row["memory_gb"] < GIGABYTES
        rows.append({"run": name, **row, "holds": holds})
        numbers = f"{row['jobs']:6d} {row['wall_s']:7.1f} {row['cpu_s']:6.1f} {row['memory_gb']:10.2f}"
        print(f"{name:16s} {numbers} {'yes' if holds else 'NO'}", flush=True)
    if options.json:
        options.json.write_text(json.dumps({"conditions": conditions, "rows": rows}, indent=2) + "\n", encoding="utf-8")
    sys.exit(not all(row["holds"] for row in rows))


if __name__ == "__main__":
    main()
