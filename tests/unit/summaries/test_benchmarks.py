"""What Snakemake measured is summed up by rule."""

import pandas as pd

from sparse_attention.summaries.benchmarks import COLUMNS, by_rule

HEADER = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def measured(path, seconds, memory, cpu):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADER + f"{seconds}\t0:00:07\t{memory}\t1\t1\t1\t1\t1\t1\t{cpu}\n")


def test_jobs_are_summed_by_rule_the_longest_first(tmp_path):
    measured(tmp_path / "report.tsv", 2.5, "NA", "NA")
    measured(tmp_path / "train/wiki/seed~1.tsv", 60.25, 900.5, 110.0)
    measured(tmp_path / "train/wiki/seed~2.tsv", 50.25, 1000.5, 90.0)
    measured(tmp_path / "plot/a.tsv", 2.5, "-", 1.5)
    table = by_rule(tmp_path)
    assert list(table.columns) == COLUMNS
    assert table["rule"].tolist() == ["train", "plot", "report"]
    assert table.iloc[0].tolist() == ["train", 2, 110.5, 60.25, 200.0, 1000.5]
    assert table.iloc[1].tolist()[:5] == ["plot", 1, 2.5, 2.5, 1.5] and pd.isna(table.iloc[1]["peak_memory_mib"])
    assert table.iloc[2][["cpu_s", "peak_memory_mib"]].isna().all()


def test_a_job_that_was_measured_again_counts_once(tmp_path):
    measured(tmp_path / "plot.tsv", 9.0, 9.0, 9.0)
    with (tmp_path / "plot.tsv").open("a") as file:
        file.write("3.5\t0:00:03\t8.0\t1\t1\t1\t1\t1\t1\t2.0\n")
    assert by_rule(tmp_path).values.tolist() == [["plot", 1, 3.5, 3.5, 2.0, 8.0]]


def test_without_measurements_the_table_is_empty(tmp_path):
    assert list(by_rule(tmp_path / "none").columns) == COLUMNS and by_rule(tmp_path / "none").empty
