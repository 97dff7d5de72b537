"""Average the metrics of predictors over layers, heads and seeds; find Pareto fronts and each head's best predictor."""

from sparse_attention.files.tables import write_table
from sparse_attention.jobs.inputs import input_paths
from sparse_attention.jobs.log import logger
from sparse_attention.jobs.script import run
from sparse_attention.summaries.heads import best_tables
from sparse_attention.summaries.predictors import predictor_tables


def main(snakemake):
    params = snakemake.params
    tables = predictor_tables(input_paths(snakemake.input.evaluations), params.runs)
    points, heads = tables["predictors"], tables["predictors_by_head"]
    tables |= best_tables(points, heads, params.sparsity, params.window, params.keep)
    for name, table in tables.items():
        # the table of blocks is an output only if predictors ran on blocks of tokens
        if path := getattr(snakemake.output, name, None):
            write_table(table, path)
            logger.info("%s: %d rows", name, len(table))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
