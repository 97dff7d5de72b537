"""Average over seeds what the quirks of the published code change."""

from sparse_attention.scriptio import run
from sparse_attention.summaries.deviations import READ, deviations_table
from sparse_attention.summaries.models import listed, read_runs
from sparse_attention.tables import write_table


def main(snakemake):
    measured = read_runs(listed(snakemake.input.deviations), snakemake.params.runs, READ)
    write_table(deviations_table(measured), snakemake.output.deviations)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
