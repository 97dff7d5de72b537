"""Analyse the buckets of one quantizer on a few validation examples: how full they are, and which pairs share one."""

from sparse_attention.evaluation.buckets import analyse
from sparse_attention.evaluation.loading import load
from sparse_attention.files.tables import write_table
from sparse_attention.jobs.compute import resolve_device, set_threads
from sparse_attention.jobs.log import logger
from sparse_attention.jobs.script import run


def main(snakemake):
    """Analyse `params.predictor` at all points of `params.grid`; unneeded inputs are empty or missing."""
    given, params = snakemake.input, snakemake.params
    set_threads(params.threads)
    predictor, validation, training = load(given, params)
    device = resolve_device(params.device)
    tables = analyse(predictor, validation, params.grid, params.examples, training, device)
    for name, table in tables._asdict().items():
        write_table(table, getattr(snakemake.output, name))
        logger.info("wrote %d rows to %s", len(table), getattr(snakemake.output, name))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
