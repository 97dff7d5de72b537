from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pandas as pd
import pytest

import show_table
from sparse_attention.errors import InputError
from sparse_attention.files.tables import write_table

ROOT = Path(__file__).parents[3]


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = pd.DataFrame({
        "predictor": ["window", "kmeans", "oracle"], "seeds": [3, 3, 3], "sparsity": [0.9, 0.95, 0.95],
        "recall": [0.51234567, 0.6, 0.9], "recall_ci95": [0.1, 0.2, 0.3], "bound": [None, None, "upper"],
    })  # fmt: skip
    write_table(table, "results/tables/predictors.tsv")


def shown(*arguments, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["show_table.py", *arguments])
    show_table.main()
    return capsys.readouterr().out.splitlines()


def test_rows_are_filtered_and_sorted(results, monkeypatch, capsys):
    arguments = ["predictors", "--where", "sparsity >= 0.95", "--where", "predictor!=window", "--sort", "recall"]
    head, columns, *rows, count = shown(*arguments, "--reverse", monkeypatch=monkeypatch, capsys=capsys)
    assert head == "in all rows seeds: 3; sparsity: 0.95"
    assert columns.split() == ["predictor", "recall", "bound"]
    assert [row.split()[0] for row in rows] == ["oracle", "kmeans"] and count == "2 of 2 rows"


def test_intervals_are_shown_on_demand(results, monkeypatch, capsys):
    out = shown("predictors", "--intervals", "--rows", "1", monkeypatch=monkeypatch, capsys=capsys)
    assert "recall_ci95" in out[1] and out[-1] == "1 of 3 rows" and "0.5123" in out[2]


def test_columns_are_chosen(results, monkeypatch, capsys):
    out = shown("results/tables/predictors.tsv", "--columns", "recall", monkeypatch=monkeypatch, capsys=capsys)
    assert [line.strip() for line in out[:-1]] == ["recall", "0.5123", "0.6", "0.9"]


def test_columns_that_are_asked_for_are_shown_once_and_though_they_have_one_value(results, monkeypatch, capsys):
    out = shown("predictors", "--columns", "seeds", "seeds", monkeypatch=monkeypatch, capsys=capsys)
    assert [line.strip() for line in out] == ["seeds", "3", "3", "3", "3 of 3 rows"]


def test_no_column_is_lost_of_rows_longer_than_the_header(tmp_path):
    (tmp_path / "a.tsv").write_text("a\tb\n1\t2\t3\n4\t5\t6\n")
    with pytest.raises(InputError, match=r"a\.tsv: not a table \(a row has more cells than the header\); allowed"):
        show_table.read(tmp_path / "a.tsv")
    (tmp_path / "a.tsv").write_text("a\tb\n")
    assert show_table.read(tmp_path / "a.tsv").empty


@pytest.mark.parametrize("written", ["true", "True", "TRUE"])
def test_truth_is_compared_in_any_case(written, tmp_path, monkeypatch, capsys):
    path = tmp_path / "a.tsv"
    write_table(pd.DataFrame({"certified": [True, False, True], "b": [1, 2, 3]}), path)
    out = shown(str(path), "--where", f"certified={written}", monkeypatch=monkeypatch, capsys=capsys)
    assert out[-1] == "2 of 2 rows"


def test_empty_cells_are_compared_as_empty_text(results, monkeypatch, capsys):
    out = shown("predictors", "--where", "bound=", monkeypatch=monkeypatch, capsys=capsys)
    assert out[-1] == "2 of 2 rows"


def test_without_a_name_tables_are_listed(results, monkeypatch, capsys):
    assert shown(monkeypatch=monkeypatch, capsys=capsys) == ["results/tables/predictors.tsv"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predictor"], "table: 'predictor' is not there; allowed: predictors"),
        (["predictors", "--where", "recal=1"], "--where: column 'recal' is not there; allowed: predictor, seeds"),
        (["predictors", "--where", "recall"], "--where: 'recall' is not allowed; allowed: COLUMN=VALUE"),
        (["predictors", "--where", "recall>much"], "'much' is not allowed, because recall has numbers"),
        (["predictors", "--sort", "size"], "--sort: column 'size' is not there"),
        (["predictors", "--columns", "size"], "--columns: column 'size' is not there"),
        (["x" * 300], "is not there; allowed: predictors"),
        (["predictors", "--rows", "-1"], "--rows: -1 is not allowed; allowed: a whole number from 1 on, or 0 for all"),
        (["predictors", "--reverse"], "--reverse: it reverses an order; allowed: with --sort COLUMN"),
    ],
    ids=[
        "table",
        "column of a condition",
        "condition",
        "number",
        "column to sort by",
        "column to show",
        "long name",
        "rows",
        "order",
    ],
)
def test_what_is_not_there_is_named(arguments, message, results, monkeypatch, capsys):
    with pytest.raises(SystemExit) as error:
        shown(*arguments, monkeypatch=monkeypatch, capsys=capsys)
    assert message in str(error.value)


def test_a_folder_without_results_says_how_to_make_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="make run"):
        show_table.find_table("predictors")


def test_it_works_with_the_packages_that_draw_figures():
    # as `make show` and `make clean` do where only `make figures-from-archive` made an environment
    whole, few = (
        {line.split("#")[0].strip().lower() for line in (ROOT / name).read_text().splitlines()} - {""}
        for name in ("requirements.txt", "requirements-figures.txt")
    )
    provided = metadata.packages_distributions()
    missing = [module for module, names in provided.items() if {name.lower() for name in names} <= whole - few]
    assert "torch" in missing and len(missing) >= 5
    code = f"import sys; sys.modules |= dict.fromkeys({missing}); import show_table, clean"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT / "tools", check=True)
