"""Compare predictors at fixed sparsities and by the areas under their fronts, with bootstrap intervals."""

from sparse_attention.scriptio import logger, run
from sparse_attention.summaries import latex
from sparse_attention.summaries.models import listed
from sparse_attention.summaries.uncertainty import uncertainty_tables
from sparse_attention.tables import write_table


def main(snakemake):
    output, params = snakemake.output, snakemake.params
    documents = listed(snakemake.input.documents)
    tables = uncertainty_tables(documents, params.runs, list(params.sparsities), params.replicates)
    for name, table in tables.items():
        write_table(table, getattr(output, name))
        logger.info("%s: %d rows", name, len(table))
        text = getattr(latex, name)(table, str(params.window), params.keep)
        latex.write(text, getattr(output, f"{name}_tex"))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
