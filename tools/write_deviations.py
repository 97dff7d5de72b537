"""Write the measured effects of the quirks of the published code into docs/deviations.md.

Run `make deviations` after `make run`: results/tables/deviations.tsv replaces the text between two markers, with the
rows of results/tables/sparse_mlm.tsv that differ in `dense_empty_rows` only, where there are any.
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
SPARSE = "sparse_mlm.tsv"
EMPTY_ROWS = "dense_empty_rows"
DOCUMENT = ROOT / "docs" / "deviations.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
HEADER = ["| Quirk | Measured on | Metric | Here | As published | Difference |", "|---|---|---|---|---|---|"]
# rows of the table that are not quirks: what they change and a description
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
        raise InputError(f"{document}: the lines {BEGIN} and {END} are missing, which enclose the numbers")
    parts = [read_table(table, ["attention", "seeds", *READ])]
    if (table.parent / SPARSE).is_file():
        parts.append(of_empty_rows(read_table(table.parent / SPARSE)))
    content = measured(pd.concat([part for part in parts if len(part)], ignore_index=True))
    document.write_text(f"{before}{BEGIN}\n\n{content}\n\n{END}{after}", encoding="utf-8")


def measured(table: pd.DataFrame) -> str:
    """Return the measured part: descriptions of the quirks, the data, the numbers, and quirks without numbers."""
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


def of_empty_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return rows about `dense_empty_rows`, from those of a table that differ in nothing else."""
    keys = ["attention", "predictor", "projection", "setting", "window", "keep", "finetuned"]
    pairs = table.dropna(subset=["setting"]).groupby(keys, sort=False, dropna=False)
    return pd.DataFrame(
        {
            "attention": names[0],
            "seeds": rows["seeds"].iloc[0],
            "quirk": EMPTY_ROWS,
            "subject": f"masked language model, {names[1]} {names[3]}",
            "metric": metric,
            "corrected": rows[metric].iloc[0],
            "as_published": rows[metric].iloc[1],
            "difference": rows[metric].iloc[1] - rows[metric].iloc[0],
        }
        for names, found in pairs
        if len(rows := found.sort_values(EMPTY_ROWS)) == 2
        for metric in ("loss", "empty_queries")
    )


def about(table: pd.DataFrame) -> str:
    """Return a sentence on the data that was measured."""
    layers, examples, seeds = (int(table[name].max()) for name in ("layers", "examples", "seeds"))
    spread = f"means over {seeds} seeds with the half-width of their 95 % interval" if seeds > 1 else "one seed"
    return (
        f"Measured on {layers} layers and {examples} validation examples, {spread}; "
        f"attention {attention_names(table)}. "
        "“ragged” are the same examples cut to evenly spread lengths, “causal” the same without later keys."
    )


def attention_names(table: pd.DataFrame) -> str:
    """Return the attentions of the table as text."""
    return ", ".join(str(name).replace("~", " ") for name in table["attention"].unique())


def rows(table: pd.DataFrame, several: bool) -> list[str]:
    """Return a line for each row of one quirk."""
    lines = []
    for row in table.to_dict("records"):
        subject = f"{row['attention']}: {row['subject']}" if several else row["subject"]
        numbers = (format_mean(row, name, signed=name == "difference") for name in VALUES)
        lines.append(f"| `{row['quirk']}` | {subject} | {row['metric'].replace('_', ' ')} | {' | '.join(numbers)} |")
    return lines


def format_mean(row: dict[str, float], name: str, signed: bool = False) -> str:
    """Format a mean, with its interval if it has one."""
    text = format_number(row[name], "+" if signed else "")
    interval = row.get(f"{name}_ci95", float("nan"))
    return text if pd.isna(interval) else f"{text} ± {format_number(interval)}"


def format_number(value: float, sign: str = "") -> str:
    """Format a number with four decimals, or with none from 100 on."""
    text = f"{value:{sign},.0f}" if abs(value) >= 100 else f"{value:{sign}.4f}"
    zero = not any(digit in text for digit in "123456789")
    return (text.lstrip("+-") if zero else text).replace("-", "−")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(str(error))
