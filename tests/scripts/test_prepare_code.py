from __future__ import annotations

import csv
from types import SimpleNamespace

import pytest

import evaluate_text_baselines
import prepare_code
from sparse_attention.data.code.functions import read_functions
from sparse_attention.data.fetch import retrieve
from sparse_attention.errors import InputError
from sparse_attention.files.tables import read_table
from sparse_attention.jobs.file_lists import FileList

OPTIONS = {
    "min_lines": 1, "max_lines": None, "ignored_rules": [], "bad_rows": "refuse", "near_duplicates": None,
    "overlap": "drop", "negatives": None, "split": {"train": 0.5, "validation": 0.25, "test": 0.25, "seed": 0},
    "max_functions": {"train": None, "validation": None, "test": None},
}  # fmt: skip


def row(number, label):
    body = " ".join(f"w{(number * 7 + k) % 23}" for k in range(8))
    return f"{body}\n{'system' if label else 'print'}({number})", label


def rows(count, first=0):
    return [row(first + number, number % 2) for number in range(count)]


def snakemake(folder, entry, changes=None, **files):
    data = folder / "data"
    data.mkdir()
    for name, content in files.items():
        with open(data / f"{name}.csv", "w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([["functionSource", "label"], *content])
    source = {"kind": "code", "version": "local", "source": {"type": "path", "path": str(data)}}
    retrieve("mine", source, folder / "receipt.json")
    outputs = {name: str(folder / f"{name}.out") for name in ("functions", "statistics", "intake")}
    return SimpleNamespace(
        input=SimpleNamespace(receipt=str(folder / "receipt.json")),
        output=SimpleNamespace(**outputs),
        params=SimpleNamespace(entry={"format": "table", **entry}, options=OPTIONS | (changes or {}), threads=1),
        log=[],
    )


def test_one_table_becomes_three_splits(tmp_path):
    job = snakemake(tmp_path, {}, all=rows(40))
    prepare_code.main(job)
    functions = list(read_functions(job.output.functions))
    assert sorted((f.source, f.label) for f in functions) == sorted(rows(40))
    table = read_table(job.output.statistics).set_index("split")
    assert table["functions"].sum() == 40 and table["positive"].sum() == 20
    assert list(table.index) == ["train", "validation", "test"]
    assert read_table(job.output.intake).iloc[0].tolist() == ["read", 40]


def test_files_of_the_splits_with_validation_cut_from_train(tmp_path):
    """As in the record of the SparseCoder package: train and test, no validation."""
    files = {"train": "train_subset.csv", "test": "test.csv"}
    train, test = rows(40), [*rows(10, 100), row(0, 0)]
    job = snakemake(tmp_path, {"files": files}, train_subset=train, test=test)
    prepare_code.main(job)
    table = read_table(job.output.statistics).set_index("split")["functions"]
    assert table["test"] == 11 and table["train"] + table["validation"] == 39 and table["validation"] > 2
    assert read_table(job.output.intake).values.tolist() == [["read", 51], ["repeats another one", 1]]


@pytest.mark.parametrize(
    ("entry", "changes", "content", "message"),
    [
        ({"files": {"train": "no.csv", "test": "a.csv"}}, {}, rows(9), r"no file matches files.train 'no.csv'"),
        ({"format": "bandit"}, {}, rows(9), r"has no file of format bandit; allowed: .whl"),
        ({"label_columns": ["CWE-119"]}, {}, rows(9), r"a.csv: there is no column CWE-119; its columns:"),
        ({}, {}, [row(n, 1) for n in range(30)], r"the split train has 0 functions of label 0"),
        ({}, {}, [*rows(9), ("x", 0.5)], r"a.csv: row 10: label is not a label"),
        ({}, {"min_lines": 3}, rows(9), r"mine: no function is left: 9 read; left out: 9 has fewer lines than"),
        ({}, {"max_lines": 1}, rows(9), r"left out: 9 has more lines than prepare_code.max_lines \(1\)"),
        ({}, {}, [], "mine: no function is left: 0 read$"),
        ({}, {}, rows(2), r"split: 2 projects, or functions without one, cannot fill 3 splits .*; bring more projects"),
        ({}, {"max_functions": {"train": None, "validation": None, "test": 2}, "negatives": 9}, rows(60),
         r"test has 0 functions .*; prepare_code.negatives and prepare_code.max_functions decide\)"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_told(entry, changes, content, message, tmp_path):
    with pytest.raises(InputError, match=message):
        prepare_code.main(snakemake(tmp_path, entry, changes, a=content))


def test_functions_lead_to_the_published_tables(fabricate, tmp_path):
    job = snakemake(tmp_path, {}, all=rows(400))
    prepare_code.main(job)
    baselines = SimpleNamespace(
        input=SimpleNamespace(functions=job.output.functions),
        output=SimpleNamespace(table=str(tmp_path / "baselines.tsv")),
        params=SimpleNamespace(seed=0),
    )
    evaluate_text_baselines.main(baselines)
    given = {"code": job.output.statistics, "code_intake": job.output.intake, "text_baselines": baselines.output.table}
    files = {name: FileList([path], [{"code": "mine"}]) for name, path in given.items()}
    published = {
        name: fabricate.make_table(tmp_path / "tables" / f"{name}.tsv", {}, {name: own}) for name, own in files.items()
    }
    for name, path in published.items():
        table = read_table(path)
        assert set(table.pop("code")) == {"mine"}
        assert table.equals(read_table(given[name]))
    accuracy = read_table(published["text_baselines"]).set_index(["classifier", "split"])["accuracy"]
    assert accuracy["tf-idf", "test"] > 0.9 > accuracy["majority", "test"]
