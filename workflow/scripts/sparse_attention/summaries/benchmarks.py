"""Sum up what Snakemake measured of the jobs of each rule."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from sparse_attention.files.tables import read_table

COLUMNS = ["rule", "jobs", "total_s", "longest_s", "cpu_s", "peak_memory_mib"]


def by_rule(folder: Path) -> pd.DataFrame:
    """Return what the jobs of each rule took, the rule that took longest first.

    Parameters
    ----------
    folder : Path
        Holds `<rule>.tsv` or `<rule>/**/<job>.tsv`, a table for each job; it may be missing.
    """
    jobs = []
    for path in sorted(folder.rglob("*.tsv")):
        measured = read_table(path, ["s", "max_rss", "cpu_time"])
        # Snakemake writes NA or a dash for what it could not sample
        numbers = measured[["s", "max_rss", "cpu_time"]].apply(pd.to_numeric, errors="coerce")
        rule = path.relative_to(folder).parts[0].removesuffix(".tsv")
        jobs.append({"rule": rule} | numbers.iloc[-1].to_dict() if len(numbers) else {"rule": rule})
    if not jobs:
        return pd.DataFrame(columns=COLUMNS)
    rows = pd.DataFrame(jobs, columns=["rule", "s", "max_rss", "cpu_time"]).groupby("rule")
    table = rows["s"].agg(jobs="size", total_s="sum", longest_s="max")
    table["cpu_s"] = rows["cpu_time"].sum(min_count=1)
    table["peak_memory_mib"] = rows["max_rss"].max()
    return table.reset_index().sort_values(["total_s", "rule"], ascending=[False, True])[COLUMNS].round(2)
