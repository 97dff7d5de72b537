"""Average the fitting curves of the projections over seeds."""

from sparse_attention.files.tables import write_table
from sparse_attention.jobs.inputs import listed
from sparse_attention.jobs.script import run
from sparse_attention.summaries.models import CURVES, projections_table, read_runs


def main(snakemake):
    columns = ["layer", "step", "split", *CURVES]
    curves = read_runs(listed(snakemake.input.curves), snakemake.params.runs, columns)
    write_table(projections_table(curves), snakemake.output.projections)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
