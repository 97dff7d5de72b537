"""Write the sentences on the time and memory of a run."""

from __future__ import annotations

import pandas as pd

from sparse_attention.reporting.findings import percent
from sparse_attention.summaries.wording import count


def rules(table: pd.DataFrame) -> list[str]:
    """State how long the jobs took together, and which rules took most time and memory.

    Parameters
    ----------
    table : pandas.DataFrame
        The table `runtime`.
    """
    total = table["total_s"].sum()
    if not total > 0:
        return []
    most = table.sort_values("total_s", kind="stable").iloc[-1]
    sentences = [
        f"{count(table['jobs'].sum(), 'job')} took {duration(total)} together; "
        f"{percent(most['total_s'] / total)} of that is {most['rule']} ({count(most['jobs'], 'job')})."
    ]
    if table["peak_memory_mib"].notna().any():
        largest = table.dropna(subset="peak_memory_mib").sort_values("peak_memory_mib", kind="stable").iloc[-1]
        memory = f"{largest['peak_memory_mib'] / 1024:.1f} GiB"
        sentences.append(f"The largest job, of {largest['rule']}, held {memory} of memory.")
    return sentences


def duration(seconds: float) -> str:
    """Return a time for readers: `12 s`, `4 min`, `2 h 05 min`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
