"""Check invariants of all evaluations; an evaluation that breaks one ends the run."""

from sparse_attention.files.plain import write_json
from sparse_attention.jobs.inputs import input_paths
from sparse_attention.jobs.log import logger
from sparse_attention.jobs.script import run
from sparse_attention.summaries import invariants

LOGGED = 5
"""The largest number of comparisons that are logged."""
ABOVE_ORACLE = (
    "{predictor} ({projection}, {attention}) recalls {recall:.4f} at sparsity {at_sparsity:g}, window {window}, keep "
    "{keep}; the oracle recalls {oracle:.4f}, because it keeps the same number of keys for every query"
)


def main(snakemake):
    given, params = snakemake.input, snakemake.params
    tables, documents = input_paths(given.evaluations), input_paths(given.documents)
    found = invariants.check(tables, documents, params.runs, list(params.sparsities))
    logger.info("%d evaluations with %d rows: all invariants hold", found["tables"], found["rows"])
    above = found["above_oracle"]
    for row in above[:LOGGED]:
        logger.warning(ABOVE_ORACLE.format(**row))
    if len(above) > LOGGED:
        logger.warning("and %d more comparisons above the oracle: see %s", len(above) - LOGGED, snakemake.output.report)
    write_json(snakemake.output.report, found)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
