"""Compare predictors at fixed sparsities and by the areas under their fronts, with bootstrap intervals."""

from sparse_attention.files.tables import write_table
from sparse_attention.jobs.inputs import input_paths
from sparse_attention.jobs.log import logger
from sparse_attention.jobs.script import run
from sparse_attention.summaries.uncertainty import uncertainty_tables


def main(snakemake):
    output, params = snakemake.output, snakemake.params
    documents = input_paths(snakemake.input.documents)
    tables = uncertainty_tables(documents, params.runs, list(params.sparsities), params.replicates)
    for name, table in tables.items():
        write_table(table, getattr(output, name))
        logger.info("%s: %d rows", name, len(table))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
