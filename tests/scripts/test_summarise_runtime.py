import pandas as pd

import summarise_runtime

MEASURED = "s\tmax_rss\tcpu_time\n12.5\t300.0\t20.0\n"


def test_benchmarks_are_found_beside_the_folder_of_the_table(fabricate, tmp_path):
    path = tmp_path / "elsewhere/results/benchmarks/plot/figure.tsv"
    path.parent.mkdir(parents=True)
    path.write_text(MEASURED)
    output = tmp_path / "elsewhere/results/timings/runtime.tsv"
    summarise_runtime.main(fabricate.job(output={"runtime": str(output)}))
    table = pd.read_csv(output, sep="\t")
    assert table[["rule", "jobs", "total_s"]].values.tolist() == [["plot", 1, 12.5]]
