"""Any published table as LaTeX: every row, intervals beside their values, nothing that LaTeX would stumble over."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pandas as pd
import pytest

import write_latex
from sparse_attention.files.tables import read_table, write_table


def write(tables, folder):
    names = list(tables)
    paths = [SimpleNamespace(**{name: str(folder / f"{name}.{suffix}") for name in names}) for suffix in ("tsv", "tex")]
    for name, table in tables.items():
        if table is not None:
            write_table(table, getattr(paths[0], name))
    write_latex.main(
        SimpleNamespace(input=paths[0], output=paths[1], params=SimpleNamespace(settings={name: {} for name in names}))
    )
    return {name: (folder / f"{name}.tex").read_text(encoding="utf-8") for name in names}


def test_values_intervals_and_words(tmp_path):
    table = pd.DataFrame(
        {"attention": ["entmax~1.5", "entmax~2"], "label": ["A & B", "50%_c"], "layer": [0, 11],
         "recall": [0.12345, float("nan")], "recall_ci95": [0.01, float("nan")]}
    )  # fmt: skip
    text = write({"best_by_layer": table}, tmp_path)["best_by_layer"]
    lines = text.splitlines()
    assert lines[0].startswith("% results/tables/best_by_layer.tsv")
    assert r"attention & label & layer & recall \\" in lines
    assert r"entmax 1.5 & A \& B & $0$ & $0.123 \pm 0.010$ \\" in lines
    assert r"entmax 2 & 50\%\_c & $11$ & -- \\" in lines


@pytest.mark.parametrize("name", ["best_by_head", "best_by_layer", "offsets", "buckets", "common_buckets"])
def test_published_tables_keep_every_row(name, tables_of_seeds, tmp_path):
    table = read_table(tables_of_seeds / f"{name}.tsv")
    text = write({name: table}, tmp_path)[name]
    body = text.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
    assert len(body) == len(table)
    columns = sum(not column.endswith("_ci95") for column in table.columns)
    assert {len(re.findall(r"(?<!\\)&", line)) for line in body} == {columns - 1}
