"""Average over seeds what the quirks of the published code change."""

from sparse_attention.files.tables import write_table
from sparse_attention.jobs.inputs import listed
from sparse_attention.jobs.script import run
from sparse_attention.summaries.deviations import READ, deviations_table
from sparse_attention.summaries.models import read_runs


def main(snakemake):
    measured = read_runs(listed(snakemake.input.deviations), snakemake.params.runs, READ)
    write_table(deviations_table(measured), snakemake.output.deviations)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
