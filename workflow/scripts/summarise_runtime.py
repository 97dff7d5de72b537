"""Sum up what the jobs of each rule took."""

from pathlib import Path

from sparse_attention.files.tables import write_table
from sparse_attention.jobs.log import logger
from sparse_attention.jobs.script import run
from sparse_attention.summaries.benchmarks import by_rule


def main(snakemake):
    output = Path(snakemake.output.runtime)
    # both folders lie in the folder of the results, wherever that is
    table = by_rule(output.parents[1] / "benchmarks")
    write_table(table, output)
    logger.info("%s: %d rules, %d jobs", output, len(table), table["jobs"].sum())


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
