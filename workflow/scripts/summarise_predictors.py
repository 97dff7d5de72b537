"""Average every predictor's metrics over layers, heads and seeds, and find the Pareto fronts."""

from sparse_attention.scriptio import logger, run
from sparse_attention.summaries import latex
from sparse_attention.summaries.models import listed
from sparse_attention.summaries.predictors import predictor_tables
from sparse_attention.tables import write_table


def main(snakemake):
    output, params = snakemake.output, snakemake.params
    tables = predictor_tables(listed(snakemake.input.evaluations), params.runs, list(params.sparsities))
    for name, table in tables.items():
        write_table(table, getattr(output, name))
        logger.info("%s: %d rows", name, len(table))
    compact = latex.predictors_at_sparsity(tables["predictors_at_sparsity"], str(params.window), params.keep)
    latex.write(compact, output.predictors_at_sparsity_tex)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
