"""Write what the quirks of the published code change, as measured, into docs/deviations.md.

Run it as `make deviations` after `make run`: results/tables/deviations.tsv replaces what stands between two markers.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "scripts"))
from sparse_attention.as_published import QUIRKS
from sparse_attention.as_published.registry import CHANGES
from sparse_attention.deviations.fits import CONTROL, TOGETHER
from sparse_attention.errors import InputError
from sparse_attention.files.tables import read_table
from sparse_attention.summaries.tables.deviations import READ, VALUES

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "results" / "tables" / "deviations.tsv"
DOCUMENT = ROOT / "docs" / "deviations.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
HEADER = ["| Quirk | Measured on | Metric | Here | As published | Difference |", "|---|---|---|---|---|---|"]
# what stands in the table without being a quirk
OTHERS = {
    CONTROL: ("–", "No quirk: the projections fitted again with another seed, to compare the next rows with."),
    TOGETHER: ("projections", "All quirks of fitting at once."),
}


def main(table: Path = TABLE, document: Path = DOCUMENT) -> None:
    """Replace the measured part of the document."""
    if not table.is_file():
        raise InputError(f"{table}: the file is missing; `make run` makes it, unless `deviations` is null")
    text = document.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise InputError(f"{document}: the lines {BEGIN} and {END} are missing, between which the numbers stand")
    content = measured(read_table(table, ["attention", "seeds", *READ]))
    document.write_text(f"{before}{BEGIN}\n\n{content}\n\n{END}{after}", encoding="utf-8")


def measured(table: pd.DataFrame) -> str:
    """Return the measured part: what was measured on, what each quirk is, the numbers, what was not measured."""
    known = {**{name: (quirk.changes, quirk.published) for name, quirk in QUIRKS.items()}, **OTHERS}
    order = [CONTROL, *sorted(QUIRKS, key=lambda name: CHANGES.index(QUIRKS[name].changes))]
    order.insert(1 + max(i for i, name in enumerate(order) if known[name][0] == "projections"), TOGETHER)
    missing = [name for name in order if name not in set(table["quirk"])]
    quirks = [f"| `{name}` | {known[name][0]} | {known[name][1]} |" for name in order]
    attentions = table["attention"].unique()
    lines = [
        line
        for attention in attentions
        for name in order
        for line in rows(table[(table["attention"] == attention) & (table["quirk"] == name)], len(attentions) > 1)
    ]
    parts = [
        "\n".join(["| Quirk | Changes | The published code |", "|---|---|---|", *quirks]),
        about(table),
        "\n".join([*HEADER, *lines]),
    ]
    if missing:
        parts.append(f"Not measured: {', '.join(f'`{name}`' for name in missing)}.")
    return "\n\n".join(parts)


def about(table: pd.DataFrame) -> str:
    """Say how much was measured."""
    layers, examples, seeds = (int(table[name].max()) for name in ("layers", "examples", "seeds"))
    spread = f"means over {seeds} seeds with the half-width of their 95 % interval" if seeds > 1 else "one seed"
    return (
        f"Measured on {layers} layers and {examples} validation examples, {spread}; attention {spoken(table)}. "
        "“ragged” are the same examples cut to evenly spread lengths, “causal” the same without later keys."
    )


def spoken(table: pd.DataFrame) -> str:
    """Name the attentions."""
    return ", ".join(str(name).replace("~", " ") for name in table["attention"].unique())


def rows(table: pd.DataFrame, several: bool) -> list[str]:
    """Return a line for each row of one quirk."""
    lines = []
    for row in table.to_dict("records"):
        subject = f"{row['attention']}: {row['subject']}" if several else row["subject"]
        numbers = (number(row, name, signed=name == "difference") for name in VALUES)
        lines.append(f"| `{row['quirk']}` | {subject} | {row['metric'].replace('_', ' ')} | {' | '.join(numbers)} |")
    return lines


def number(row: dict[str, float], name: str, signed: bool = False) -> str:
    """Write a mean with its interval, if it has one."""
    text = digits(row[name], "+" if signed else "")
    interval = row.get(f"{name}_ci95", float("nan"))
    return text if pd.isna(interval) else f"{text} ± {digits(interval)}"


def digits(value: float, sign: str = "") -> str:
    """Write a number with four decimals, a large one with none."""
    text = f"{value:{sign},.0f}" if abs(value) >= 100 else f"{value:{sign}.4f}"
    zero = not any(digit in text for digit in "123456789")
    return (text.lstrip("+-") if zero else text).replace("-", "−")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(str(error))
