"""What the jobs of each rule took."""

from __future__ import annotations

from sparse_attention.summaries.base import Table


class Runtime(Table):
    """One row per rule; made by `benchmarks.by_rule`."""

    name = "runtime"
    title = "Time and memory of each rule"
    section = "runtime"
    category = "Real time"
    order = 40
    folded = "Every rule"
    timed = True
    made_by = "summarise_runtime"
    caption = """
    What Snakemake measured of the jobs of each rule, before the report was written: the number of ``jobs`` with results
    in this folder, the sum of their seconds and the longest one's, the seconds of all cores together, and the most
    memory of a job in MiB. Where a job was run several times, the last time counts. Jobs run side by side, so a run
    takes less time than the sum. Memory is sampled, and is missing for jobs of less than a few seconds.
    """
